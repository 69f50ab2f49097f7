"""What children say, and what their parent answers."""

from __future__ import annotations

import time
from typing import Any

from celery.utils.log import get_logger

from celery_runtime.direct.family import Member
from celery_runtime.direct.jobs import Jobs
from celery_runtime.direct.pipe import Kind
from celery_runtime.direct.settling import Settling

log = get_logger(__name__)


class Conversation:
    """stopping: whether children that wait are to leave."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.settling: Settling | None = None
        self.stopping = False

    def hear(self, member: Member) -> bool:
        """Deal with all that a child has said; raises what the consumer takes for a lost connection.

        Returns whether it said more than that messages of RabbitMQ's are done.
        """
        if member.pipe is None:
            return False
        self.hear_reports(member)
        said_more = False
        lost: tuple[type[Exception], ...] = self.settling.consumer.connection_errors if self.settling else ()
        for kind, content in member.pipe.frames():
            said_more |= kind is not Kind.DONE
            try:
                self._answer(member, kind, content)
            except lost:
                raise
            except Exception:  # as billiard's pool: one task's trouble must not end the worker
                log.exception("direct: what the pool child %s said could not be dealt with", member.pid)
                if kind in {Kind.MESSAGE, Kind.OUTCOME} and self.settling is not None:
                    self.settling.custody.let_go(content[1])
        return said_more

    def hear_reports(self, member: Member) -> None:
        """Take note of what needs nothing but its acknowledgement."""
        if self.settling is None:
            return
        try:
            for report in member.reports.read():
                self.settling.custody.done(member, *report)
        except ValueError as error:
            log.error("direct: the pool child %s wrote over its reports and is replaced: %s", member.pid, error)  # noqa: TRY400
            member.kill()

    def _answer(self, member: Member, kind: Kind, content: Any) -> None:
        if kind is Kind.LATER and self.settling is not None:
            self.settling.custody.later(*content)
        elif kind is Kind.IDLE:
            member.free = member.served = True
            if self.jobs or self.stopping:
                member.wake()
        elif kind is Kind.ASK:
            self._give_job(member)
        elif kind is Kind.RESULT:
            self._end_job(member, *content)
        elif kind is Kind.MESSAGE and self.settling is not None:
            self.settling.custody.deliver(*content)
        elif kind is Kind.OUTCOME and self.settling is not None:
            queue, tag, raw, began, returned, value = content
            self.settling.settle(member, (queue, tag, raw), began, returned, value)
            self.settling.custody.went_on(member, settled=False)

    def _end_job(self, member: Member, returned: bool, value: Any) -> None:
        job, member.job = member.job, None
        if job is not None:
            job.on_result(returned, value)
            if self.settling is not None:
                self.settling.custody.went_on(member, settled=returned and not value[0])

    def _give_job(self, member: Member) -> None:
        pipe: Any = member.pipe  # it has just spoken
        job = self.jobs.take()
        if job is None:
            pipe.answer(None)
            return
        data = job.packed()
        member.slot.write(data)
        member.job = job
        pipe.answer(len(data))
        job.on_accepted(member.pid, time.monotonic())
