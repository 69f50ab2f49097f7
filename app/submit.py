"""Publish tasks from the API, and look them up, within a few seconds or with an error.

A worker waits for its broker; a person who waits for an answer should not. Neither every transport nor every way in
which a broker can be away (stopped, paused, full, its name gone) has a time-out of its own, so each call runs in a
thread that is given up after PATIENCE. Tasks are published by name: the API never imports what the workers run.
"""

import time
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any
from uuid import UUID

from amqp import AMQPError
from celery.canvas import Signature
from celery.exceptions import BackendError
from celery.states import PENDING
from kombu.exceptions import KombuError
from redis import RedisError

from app.celery import app

PATIENCE = 6  # seconds without progress; an answer is promised within 10, and the database has its share of them
AWAY = (KombuError, AMQPError, RedisError, BackendError, OSError)


class BrokerAwayError(Exception):
    """The broker or the result store doesn't answer; `accepted` messages of the call were confirmed before."""

    def __init__(self, reason: str, accepted: int = 0) -> None:
        super().__init__(reason)
        self.accepted = accepted


def fail_fast() -> None:
    """Set the Celery app up for a process that answers requests. Call it before anything is published."""
    app.conf.result_backend_always_retry = False  # the runtime's workers retry for ever
    app.conf.result_backend_thread_safe = True  # one pool of connections, not one for each thread
    app.conf.redis_socket_timeout = PATIENCE
    app.backend.on_task_call = lambda *_: None  # nothing here waits for results: spare a subscription each


def process_image(image_id: UUID, task_id: UUID) -> None:
    """Start the pipeline of a picture under `task_id`. Raises BrokerAwayError."""
    failed = app.signature("app.tasks.media.image_failed", args=[str(image_id)])
    task = app.signature("app.tasks.media.process_image", args=[str(image_id)], task_id=str(task_id), link_error=failed)
    _Call(lambda call: _record_and_publish(call, task)).wait()


def publish(tasks: Iterable[Signature]) -> int:
    """Publish through one connection, in order; returns how many. Raises BrokerAwayError that knows how many."""
    return _Call(lambda call: _publish_all(call, tasks)).wait().progress


def look_up(task_id: str) -> dict[str, Any] | None:
    """Return what the result store has of a task: status, result; None if nothing. Raises BrokerAwayError."""
    meta = _Call(lambda call: app.backend.get_task_meta(task_id)).wait().value
    return meta if "task_id" in meta else None


class _Call(Thread):
    """Runs `work(self)`; it counts `progress`, and stops early once it is `abandoned`."""

    def __init__(self, work: Callable[["_Call"], Any]) -> None:
        super().__init__(daemon=True)
        self.work, self.value = work, None
        self.progress, self.abandoned = 0, False
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self.work(self)
        except Exception as error:  # noqa: BLE001 -- raised again in the thread that waits
            self.error = error

    def wait(self) -> "_Call":
        seen, since = 0, time.monotonic()
        while self.is_alive() and time.monotonic() - since < PATIENCE:
            self.join(PATIENCE / 4)
            if self.progress != seen:
                seen, since = self.progress, time.monotonic()
        if self.is_alive():
            self.abandoned = True
            raise BrokerAwayError(f"no answer for {PATIENCE} s", self.progress)
        if isinstance(self.error, AWAY):
            raise BrokerAwayError(str(self.error), self.progress) from self.error
        if self.error:
            raise self.error
        return self


def _record_and_publish(call: _Call, task: Signature) -> None:
    """Record the id first, so that an unknown id is told apart from one whose task still waits."""
    task_id = task.options["task_id"]
    app.backend.store_result(task_id, None, PENDING)
    try:
        _publish_all(call, [task])
    finally:
        if not call.progress:
            app.backend.forget(task_id)


def _publish_all(call: _Call, tasks: Iterable[Signature]) -> None:
    with app.producer_pool.acquire(block=True, timeout=PATIENCE) as producer:
        for task in tasks:
            if call.abandoned:
                return
            task.apply_async(producer=producer)
            call.progress += 1
