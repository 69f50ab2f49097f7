"""Publish tasks from the API, and look them up, within a few seconds or with an error.

Tasks are published by name: the API never imports what the workers run.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from celery.canvas import Signature

from app.celery import app
from celery_runtime import publishing
from celery_runtime.publishing import BrokerAwayError

__all__ = ["BrokerAwayError", "ask", "fail_fast", "look_up", "process_image", "publish", "revoke", "start"]

T = TypeVar("T")
SHARE = 0.6  # of PUBLISH_TIMEOUT, within which an answer is promised; the rest is the database's


def patience() -> float:
    """Seconds after which a call that makes no progress is given up."""
    return SHARE * publishing.publish_timeout()


def fail_fast() -> None:
    """Set the Celery app up for a process that answers requests. Call it before anything is published."""
    app.conf.result_backend_always_retry = False  # the runtime's workers retry for ever
    app.conf.result_backend_thread_safe = True  # one pool of connections, not one for each thread
    app.conf.redis_socket_timeout = patience()


def process_image(image_id: UUID, task_id: UUID) -> None:
    """Start the pipeline of a picture under `task_id`. Raises BrokerAwayError."""
    failed = app.signature("app.tasks.media.image_failed", args=[str(image_id)])
    task = app.signature("app.tasks.media.process_image", args=[str(image_id)], task_id=str(task_id), link_error=failed)
    start(task)


def start(task: Signature) -> None:
    """Publish a task whose id was given out, so that it can be told from an unknown one. Raises BrokerAwayError."""
    publishing.publish(app, [task], patience(), pending=True)


def revoke(task_id: str) -> None:
    """Tell all workers to skip a task, as far as they can be reached; one that starts later never hears of it."""
    with suppress(BrokerAwayError):
        ask(lambda: app.control.revoke(task_id))


def ask(question: Callable[[], T], seconds: float | None = None) -> T:
    """Return what `question` to the broker or to Redis returns, within `seconds`. Raises BrokerAwayError."""
    return publishing.bounded(app, question, seconds or patience())


def publish(tasks: Iterable[Signature]) -> int:
    """Publish through one connection, in order; returns how many. Raises BrokerAwayError that knows how many."""
    return publishing.publish(app, tasks, patience())


def look_up(task_id: str) -> dict[str, Any] | None:
    """Return what the result store has of a task: status, result; None if nothing. Raises BrokerAwayError."""
    meta = ask(lambda: app.backend.get_task_meta(task_id))
    return meta if "task_id" in meta else None
