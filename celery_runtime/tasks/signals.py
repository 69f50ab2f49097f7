"""Tell of tasks that fail, try again or are revoked: one line each, and a signal for whoever wants to be woken.

    from celery_runtime.tasks.signals import task_gave_up

    @task_gave_up.connect
    def page(sender, task_id, name, exception, fallback, **_): ...

`task_gave_up` is sent once for each task that ended without doing its work: it failed and will not be tried again,
was killed with its process, or ran into its time limit. A task whose fallback took over is among them.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals
from celery.exceptions import TimeLimitExceeded
from celery.utils.dispatch import Signal

from celery_runtime import metrics

log = logging.getLogger("celery_runtime.tasks")

task_gave_up = Signal(
    name="task_gave_up", providing_args={"task_id", "name", "queue", "attempt", "exception", "fallback"}
)


def connect() -> None:
    """Log the failures, retries and revocations of this process; a second call changes nothing."""
    signals.task_failure.connect(_failed, weak=False, dispatch_uid=f"{__name__}.failed")
    signals.task_retry.connect(_retried, weak=False, dispatch_uid=f"{__name__}.retried")
    signals.task_revoked.connect(_revoked, weak=False, dispatch_uid=f"{__name__}.revoked")


def give_up(task: Any, exception: BaseException, *, fallback: bool) -> None:
    """Log that `task`, which runs, ends without having done its work, and send `task_gave_up`."""
    _give_up(task, _facts(task.name, task.request), exception, fallback)
    if fallback:
        metrics.count("fallbacks", task=task.name)  # its delivery counts as a success


def _give_up(sender: Any, facts: dict[str, Any], exception: BaseException, fallback: bool) -> None:
    what = "gave up, its fallback took over" if fallback else "failed"
    _log(logging.ERROR, what, facts, exception)
    task_gave_up.send(sender=sender, exception=exception, fallback=fallback, **facts)


def _failed(sender: Any, exception: BaseException, task_id: str, **_: Any) -> None:
    request = sender.request
    if isinstance(exception, TimeLimitExceeded) and not request.id:
        return  # Celery's pools tell of it twice, first as of any other failure, with the request
    # Of a task that was killed, the main process tells; the request there is that of no task.
    facts = _facts(sender.name, request if request.id else None, task_id)
    _give_up(sender, facts, exception, False)


def _retried(sender: Any, request: Any, reason: Any = "cancelled, it goes back to the queue", **_: Any) -> None:
    """Of a task that was cancelled, because its connection was lost or its drain is over, Celery tells no reason."""
    _log(logging.WARNING, "tries again", _facts(sender.name, request), reason)


def _revoked(sender: Any, request: Any, terminated: bool, signum: Any, expired: bool, **_: Any) -> None:
    why = "expired" if expired else f"terminated by signal {signum}" if terminated else "revoked"
    name = str(getattr(sender, "name", "") or getattr(request, "name", "?"))
    _log(logging.WARNING, "was not run" if not terminated else "was ended", _facts(name, request), why)


def _facts(name: str, request: Any, task_id: str = "") -> dict[str, Any]:
    """What a task's line and signal say; `request` is Celery's context in a task, or the message in the worker."""
    delivery = getattr(request, "delivery_info", None) or {}
    retries = getattr(request, "retries", None)
    if retries is None:
        retries = (getattr(request, "request_dict", None) or {}).get("retries") or 0
    return {
        "task_id": task_id or getattr(request, "id", None) or "?",
        "name": name,
        "queue": delivery.get("routing_key") or "?",
        "attempt": retries + 1,
    }


def _log(level: int, what: str, facts: dict[str, Any], reason: Any) -> None:
    text = reason if isinstance(reason, str) else f"{type(reason).__name__}: {reason}"
    line = " ".join(f"{key}={value}" for key, value in facts.items())
    log.log(level, "task %s: %s reason=%r", what, line, text, extra={"task": {**facts, "what": what, "reason": text}})
