"""Count each task where the worker's main process sees it: receipt, start, end. No Celery events, no pool child.

Read in Celery 5.7.0: celery/worker/strategy.py (makes a request class for each task), celery/worker/request.py (what is
called when; the class made there overrides `on_success` without calling its base, so the counting one goes outside).
"""

from __future__ import annotations

import time
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject, Retry, Terminated, WorkerLostError
from celery.signals import before_task_publish
from celery.worker import state, strategy

from celery_runtime import metrics

PUBLISHED = "published_at"  # header, Unix seconds: the queue wait of a task is counted from here
OTHER = "other"
_Made: Any = object  # Celery's class stands behind this one, see make_counting
# What does not fail a task, or is decided by what Celery does with it.
UNDECIDED = (Retry, Reject, Terminated, WorkerLostError, SystemExit, KeyboardInterrupt)


def install(app: Celery) -> None:
    """Count the tasks of every worker in this process, and stamp what this process publishes."""
    before_task_publish.connect(_stamp, weak=False)
    if getattr(strategy.create_request_cls, "counts", False):
        return
    make = strategy.create_request_cls

    def make_counting(base: type, task: Any, pool: Any, *args: Any, **kwargs: Any) -> type:
        metrics.gauge("slots", lambda: float(pool.num_processes))
        metrics.gauge("slots_busy", lambda: float(getattr(pool, "busy", len(state.active_requests))))
        metrics.gauge("oldest_task_seconds", getattr(pool, "oldest", _oldest))
        made = make(base, task, pool, *args, **kwargs)
        return type("Request", (Counting, made), {"__slots__": (), "counted": task.name})

    make_counting.counts = True  # type: ignore[attr-defined]
    strategy.create_request_cls = make_counting


def _stamp(headers: dict[str, Any], **_: Any) -> None:
    headers[PUBLISHED] = time.time()


def _oldest() -> float:
    requests = [reference() for reference in state.active_requests.data.copy()]  # iterating it is not thread-safe
    starts = [request.time_start for request in requests if request is not None and request.time_start]
    return time.time() - min(starts) if starts else 0.0


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
                self.tally.run.add(self.runtime)

    def on_accepted(self: Any, pid: int, time_accepted: float) -> None:
        super().on_accepted(pid, time_accepted)
        published = self._request_dict.get(PUBLISHED)
        with self.tally.lock:
            self.tally.started += 1
            if isinstance(published, int | float):
                due = max(published, self._eta.timestamp()) if self._eta else published
                self.tally.wait.add(max(self.time_start - due, 0.0))

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
