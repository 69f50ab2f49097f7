"""Ask everything that a system stands on, within a bounded time whatever hangs.

A server that is paused answers nothing and refuses nothing; few clients have a time-out for each way in which that
happens. So each check runs in a thread of its own that nobody waits for longer than he wants. One at a time: whoever
asks while a check still hangs gets no second thread, so that a health check that is asked every second cannot fill the
process with them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from celery import Celery

from celery_runtime import consumers
from celery_runtime.redis_store import redis_of

CONNECT = 1.5  # seconds until a broker must have shaken hands
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a check returned, or in `failure` why it did not: in words that hold no address, user or password."""

    value: Any
    failure: str | None
    seconds: float


class Check:
    """Runs `work` in a thread; who asks while it runs waits for the same answer."""

    def __init__(self, name: str, work: Callable[[], Any]) -> None:
        self.name, self.work = name, work
        self._lock = Lock()
        self._answer: Future[Answer] | None = None

    def ask(self) -> Future[Answer]:
        with self._lock:
            if self._answer is None or self._answer.done():
                self._answer = Future()
                Thread(target=self._run, args=(self._answer,), name=f"check {self.name}", daemon=True).start()
            return self._answer

    def _run(self, answer: Future[Answer]) -> None:
        began = time.monotonic()
        try:
            value, failure = self.work(), None
        except Exception as error:  # noqa: BLE001 -- whatever it is, the answer is that this part does not work
            log.warning("deep health: %s: %s", self.name, error)
            value, failure = None, f"it failed with {type(error).__name__}; the log says more"
        answer.set_result(Answer(value, failure, time.monotonic() - began))


async def ask(checks: Mapping[str, Check], within: float) -> dict[str, Answer]:
    """Ask all at once; one that has not answered `within` seconds says so, and goes on in its thread."""
    asked = {name: asyncio.wrap_future(check.ask()) for name, check in checks.items()}
    await asyncio.wait(asked.values(), timeout=within)
    late = Answer(None, f"it did not answer within {within:g} s", within)
    return {name: future.result() if future.done() else late for name, future in asked.items()}


def queues(app: Celery, names: list[str]) -> dict[str, consumers.QueueState]:
    """Over a connection of its own, as a worker that starts would make one. Raises when the broker is away."""
    with app.connection_for_read(connect_timeout=CONNECT) as connection:
        connection.ensure_connection(max_retries=1, timeout=CONNECT)
        return consumers.states(connection, names)


def last_tick(app: Celery) -> float | None:
    """Seconds since Beat's last tick; None when no Beat holds the lock.

    Each tick extends the lock to its full time, so that what is left of it tells. It asks the Redis that has the lock,
    and fails when it is away.
    """
    left = redis_of(app).pttl(_lock_key(app))  # milliseconds; negative without a lock
    return None if left < 0 else max(app.conf.redbeat_lock_timeout - left / 1000, 0.0)


def _lock_key(app: Celery) -> str:
    """As RedBeat 2.4.2 makes it; its own RedBeatConfig would stay on the app, with what the settings are now."""
    prefix = app.conf.get("redbeat_key_prefix", "redbeat:")
    name = app.conf.get("redbeat_lock_key", f"{prefix}:lock")
    return str(name) if name.startswith(prefix) else f"{prefix}{name}"
