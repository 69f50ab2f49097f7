"""Count each task where the worker's main process sees it: receipt, start, end. No Celery events, no pool child.

Read in Celery 5.7.0: celery/worker/strategy.py (makes a request class for each task), celery/worker/request.py (what is
called when; the class made there overrides `on_success` without calling its base, so the counting one goes outside).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Any

from billiard.pool import EX_OK, EX_RECYCLE, RUN
from billiard.pool import Pool as BilliardPool
from celery import Celery
from celery.exceptions import Ignore, Reject, Retry, Terminated, WorkerLostError
from celery.signals import before_task_publish, celeryd_after_setup
from celery.worker import state, strategy

from celery_runtime import metrics
from celery_runtime.dead_letters import REASONS
from celery_runtime.queues import Queue

PUBLISHED = "published_at"  # header, Unix seconds: the queue wait of a task is counted from here
OTHER = metrics.OTHER
_Made: Any = object  # Celery's class stands behind this one, see make_counting
# What does not fail a task, or is decided by what Celery does with it.
UNDECIDED = (Retry, Reject, Terminated, WorkerLostError, SystemExit, KeyboardInterrupt)


def install(app: Celery, queues: Mapping[str, Queue]) -> None:
    """Count the tasks of every worker in this process, and stamp what this process publishes."""
    before_task_publish.connect(_stamp, weak=False)
    celeryd_after_setup.connect(partial(_begin_at_zero, app), weak=False, dispatch_uid=f"{__name__}.begin_at_zero")
    _count_children()
    if getattr(strategy.create_request_cls, "counts", False):
        return
    make = strategy.create_request_cls

    def make_counting(base: type, task: Any, pool: Any, *args: Any, **kwargs: Any) -> type:
        metrics.gauge("slots", lambda: float(pool.num_processes))
        metrics.gauge("slots_busy", lambda: float(getattr(pool, "busy", len(state.active_requests))))
        metrics.gauge("prefetched", getattr(pool, "prefetched", prefetched))
        metrics.gauge("oldest_task_seconds", getattr(pool, "oldest", _oldest))
        metrics.gauge("overdue_task_seconds", lambda: getattr(pool, "overdue", _overdue)(_limit(app, queues)))
        made = make(base, task, pool, *args, **kwargs)
        return type("Request", (Counting, made), {"__slots__": (), "counted": task.name})

    make_counting.counts = True  # type: ignore[attr-defined]
    strategy.create_request_cls = make_counting


def _stamp(headers: dict[str, Any], **_: Any) -> None:
    headers[PUBLISHED] = time.time()


def _begin_at_zero(app: Celery, **_: Any) -> None:
    """Make the series whose first count is worth an alert, before the first scrape."""
    for queue in app.amqp.queues.consume_from:
        for reason in REASONS:
            metrics.count("dead_letters", 0, task=OTHER, queue=queue, reason=reason)
    for reason in metrics.CHILD_ENDS:
        metrics.count("child_restarts", 0, reason=reason)


def _count_children() -> None:
    """Count the children that Celery's prefork pool replaces; the direct pool counts its own."""
    join = BilliardPool._join_exited_workers  # noqa: SLF001
    if hasattr(join, "counts"):
        return

    def join_exited_workers(pool: Any, *args: Any, **kwargs: Any) -> Any:
        exitcodes = join(pool, *args, **kwargs)
        if pool._state == RUN:  # noqa: SLF001
            for exitcode in exitcodes or ():
                metrics.count("child_restarts", reason="recycled" if exitcode in (EX_OK, EX_RECYCLE) else "lost")
        return exitcodes

    join_exited_workers.counts = True  # type: ignore[attr-defined]
    BilliardPool._join_exited_workers = join_exited_workers  # noqa: SLF001


def _running() -> list[Any]:
    requests = [reference() for reference in state.active_requests.data.copy()]  # iterating it is not thread-safe
    return [request for request in requests if request is not None and request.time_start]


def _oldest() -> float:
    starts = [request.time_start for request in _running()]
    return time.time() - min(starts) if starts else 0.0


def prefetched() -> float:
    """How many messages the main process holds that do not run yet, those of a later time among them."""
    return float(max(len(state.reserved_requests) - len(state.active_requests), 0) + len(state.scheduled_requests))


def _limit(app: Celery, queues: Mapping[str, Queue]) -> float:
    """Seconds that a task of this worker may run for, unless it has a limit of its own."""
    return max((queues[name].time_limit for name in app.amqp.queues.consume_from if name in queues), default=inf)


def _overdue(limit: float) -> float:
    """By how many seconds a task has outlived its hard time limit; `limit` where it has none of its own."""
    now = time.time()
    limits = [(request, request.time_limits[0] or request.task.time_limit or limit) for request in _running()]
    return max([0.0, *(float(now - request.time_start - its) for request, its in limits)])


def queue_of(app: Celery, routing_key: str) -> str:
    """The queue of a message: the worker's only one, or the one named by its routing key, which anybody may make up."""
    consumed = app.amqp.queues.consume_from
    if len(consumed) == 1:
        return str(next(iter(consumed)))
    return routing_key if routing_key in consumed else OTHER


class Counting(_Made):  # type: ignore[misc]
    """Goes around the request class that Celery makes for a task."""

    __slots__ = ()
    counted: str  # the task's name; the one in the message may be a shadow, which anybody may make up

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ended = False
        self.runtime: float | None = None
        self.tally = metrics.tally(self.counted, queue_of(self._app, self._delivery_info["routing_key"] or ""))
        self.tally.received += 1
        if self._delivery_info["redelivered"] or self._request_dict.get("x-delivery-count"):
            self.tally.redelivered += 1

    def end(self: Any, outcome: str) -> None:
        """Count the first outcome that is seen; what Celery does next with the message follows from it."""
        if self.ended:
            return
        self.ended = True
        if self.runtime is None and self.time_start:
            self.runtime = time.time() - self.time_start
        with self.tally.lock:
            self.tally.outcomes[outcome] += 1
            if self.runtime is not None:
                self.tally.run.add(self.runtime, self.id, time.time())

    def on_accepted(self: Any, pid: int, time_accepted: float) -> None:
        super().on_accepted(pid, time_accepted)
        self.count_start()

    def count_start(self: Any) -> None:
        """Count the start, and the wait before it."""
        published = self._request_dict.get(PUBLISHED)
        with self.tally.lock:
            self.tally.started += 1
            if isinstance(published, int | float):
                due = max(published, self._eta.timestamp()) if self._eta else published
                self.tally.wait.add(max(self.time_start - due, 0.0), self.id, self.time_start)

    def on_success(self: Any, failed__retval__runtime: tuple[bool, Any, float], **kwargs: Any) -> None:
        failed, _, self.runtime = failed__retval__runtime
        if not failed:
            self.end("succeeded")
        super().on_success(failed__retval__runtime, **kwargs)

    def on_failure(self: Any, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        error = getattr(exc_info.exception, "exc", exc_info.exception)  # billiard's ExceptionWithTraceback
        if not isinstance(exc_info.exception, UNDECIDED) and not isinstance(error, UNDECIDED):
            self.end("ignored" if isinstance(error, Ignore) else "failed")
        super().on_failure(exc_info, *args, **kwargs)
        self.end("failed")

    def on_timeout(self: Any, soft: bool, timeout: float) -> None:
        if not soft:
            self.end("failed")
        super().on_timeout(soft, timeout)

    def on_retry(self: Any, exc_info: Any) -> None:
        self.end("retried")
        super().on_retry(exc_info)

    def reject(self: Any, requeue: bool = False) -> None:
        self.end("rejected")
        super().reject(requeue=requeue)

    def _retry_worker_lost(self: Any, *args: Any) -> bool:
        retried = bool(super()._retry_worker_lost(*args))
        if retried:
            self.end("retried")
        return retried

    def _success_was_stored(self: Any) -> Any:
        meta = super()._success_was_stored()
        if meta:
            self.end("succeeded")
        return meta

    def _announce_revoked(self: Any, *args: Any) -> None:
        self.end("revoked")
        super()._announce_revoked(*args)

    def _announce_cancelled(self: Any, **kwargs: Any) -> None:
        self.end("cancelled")
        super()._announce_cancelled(**kwargs)
