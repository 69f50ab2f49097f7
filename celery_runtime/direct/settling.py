"""What a child has in hand, as a request of Celery's: to be shown, to be interrupted, or to be settled by its rules.

A request is made for a message when somebody asks what runs, when its child cannot settle it, or when the child is
gone. While the child lives and settles its message itself, such a request changes nothing.
"""

from __future__ import annotations

from typing import Any

from billiard.common import human_status
from billiard.exceptions import Terminated, WorkerLostError
from celery.utils.log import get_logger
from celery.worker import state
from vine import promise

from celery_runtime.direct import internals
from celery_runtime.direct.brokers import Custody
from celery_runtime.direct.family import Member
from celery_runtime.direct.slot import DamagedError, Look
from celery_runtime.redis_transport.messages import MalformedError

log = get_logger(__name__)


class Settling:
    """consumer: the worker's. custody: what the broker needs to be told about the messages."""

    def __init__(self, consumer: Any, custody: Custody) -> None:
        self.consumer = consumer
        self.custody = custody
        self._classes: dict[str, Any] = {}  # of requests, by the name of their task

    # -- messages that a child handed over

    def settle(self, member: Member, claimed: tuple[str, str, bytes], began: float, returned: bool, value: Any) -> None:
        """Do with the outcome of a task what its child could not. `began`: Unix seconds."""
        request = self._shown(member, claimed[1]) or self._request(*claimed, member.pid, began)
        member.request = None
        if request is None:
            return
        _count_start(request)
        (request.on_success if returned else request.on_failure)(value)

    # -- messages in the hand of a child

    def show(self, member: Member) -> Any:
        """The request of the task that a child runs itself; None when it runs none."""
        look = self._look(member)
        if look is None or not look.held or not look.started:
            self.forget(member)
            return None
        if member.sequence == look.sequence and member.request is not None:
            return member.request
        self.forget(member)
        raw = self.custody.raw(member, look.tag)
        if raw is None:
            return None
        again = self._look(member)
        if again is None or again[:2] != look[:2]:  # it went on meanwhile
            return None
        request = self._request(look.queue, look.tag, raw, member.pid, internals.unix_time(look.started))
        member.request, member.sequence = request, look.sequence
        return request

    def forget(self, member: Member) -> None:
        """Take note that the child went on: it settled its message itself."""
        request, member.request = member.request, None
        if request is not None and not request.acknowledged:
            state.task_ready(request)
            self.custody.forget(request.message.delivery_tag)

    def time_out(self, member: Member, limit: float) -> None:
        """Settle what a child was killed for: its hard time limit, in seconds."""
        subject = member.job or self._taken(member)
        member.job = member.request = None
        if subject is not None:
            with internals.current(subject.on_timeout):
                subject.on_timeout(False, limit)
            if hasattr(subject, "acknowledged"):
                _count_start(subject)

    def lose(self, member: Member) -> None:
        """Settle what a dead child had in hand."""
        error = WorkerLostError(f"Worker exited prematurely: {human_status(member.process.exitcode)}.")
        look = self._look(member)
        if member.job is not None:
            ended = member.job.terminated
            member.job.on_failure(internals.as_raised(Terminated(-ended) if ended else error))
        elif look is None:
            member.renew()  # its message comes back when the lease ends
        elif look.held:
            self._lose_message(member, look, error)
        else:
            self.forget(member)
        self.custody.lost(member)
        member.job = member.request = None

    def _lose_message(self, member: Member, look: Look, error: WorkerLostError) -> None:
        request = self._shown(member, look.tag)
        if request is not None and request.acknowledged:  # revoked, for example: that is what killed the child
            _count_start(request)
        elif look.began and look.started and not getattr(request, "_already_cancelled", False):
            request = request or self._taken(member)
            if request is not None:
                _count_start(request)
                request.on_failure(internals.as_raised(error))
        else:
            if request is not None:
                self.forget(member)
            (self.custody.acknowledge if look.ended else self.custody.hand_back)(look.queue, look.tag)

    # -- parts

    def _taken(self, member: Member) -> Any:
        """The request of what a dead child was running."""
        look = self._look(member)
        if look is None:
            member.renew()
            return None
        found = self._shown(member, look.tag)
        if found is not None or not look.held:
            return found
        raw = self.custody.raw(member, look.tag)
        if raw is None:
            return None
        return self._request(look.queue, look.tag, raw, member.pid, internals.unix_time(look.started))

    def _shown(self, member: Member, tag: str) -> Any:
        """The request that stands for this message; that of an earlier one, which its child settled, is forgotten."""
        request = member.request
        if request is not None and request.message.delivery_tag != tag:
            self.forget(member)
            return None
        return request

    def _look(self, member: Member) -> Look | None:
        try:
            return member.slot.look()
        except DamagedError as error:
            log.error("direct: the pool child %s wrote over its slot and is replaced: %s", member.pid, error)  # noqa: TRY400
            member.kill()
            return None

    def _request(self, queue: str, tag: str, raw: bytes, pid: int, began: float) -> Any:
        consumer = self.consumer
        try:
            message = self.custody.message(queue, tag, raw)
            message.accept = consumer.task_consumer.accept
            task = consumer.app.tasks[message.headers["task"]]
        except (MalformedError, KeyError) as error:
            log.error("direct: what a child had in hand is no message: %s", error)  # noqa: TRY400
            return None
        request = self._class_of(task)(
            message,
            on_ack=promise(consumer.call_soon_ack, (message.ack_log_error,)),
            on_reject=promise(consumer.call_soon_ack, (message.reject_log_error,)),
            app=consumer.app,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
            task=task,
            connection_errors=consumer.connection_errors,
            body=message.body,
            headers=message.headers,
            decoded=False,
            utc=True,
        )
        _uncount_receipt(request)
        internals.accept(request, pid, began)
        return request

    def _class_of(self, task: Any) -> Any:
        if task.name not in self._classes:
            self._classes[task.name] = internals.request_class(task, self.consumer)
        return self._classes[task.name]


def _uncount_receipt(request: Any) -> None:
    """A child counts what it settles, from receipt to end, at its end."""
    if hasattr(request, "tally"):
        request.tally.received -= 1


def _count_start(request: Any) -> None:
    """Count for a child what it did not live to count, or did not settle. The end is counted by the request."""
    if hasattr(request, "tally"):
        request.tally.received += 1
        request.count_start()
