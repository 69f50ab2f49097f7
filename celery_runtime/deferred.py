"""Calls of a result backend that must not be waited for: a thread makes them, until Redis takes each."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.utils.log import get_logger

from celery_runtime import forking

PAUSE = 1.0  # seconds between two tries

log = get_logger(__name__)


class Deferred:
    """Calls of a result backend that a thread makes in their order, each until Redis takes it."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, call: Call) -> None:
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="results", daemon=True)
            self._thread.start()

    def flush(self, seconds: float) -> None:
        """Wait at most `seconds` until everything is stored; says what is not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, seconds)
            for call in self._calls:
                log.error("results: the worker ends before Redis took %s", call)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls)
            while not self._calls[0].done():
                time.sleep(PAUSE)
            with self._changed:
                self._calls.popleft()
                self._changed.notify_all()


@dataclass(frozen=True)
class Call:
    """A method of the result backend of `app`, whose first argument is a task's id."""

    app: Celery
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name} of task {self.args[0]}"

    @forking.hold_off()
    def done(self) -> bool:
        """Try once; False when Redis is away. What is wrong with the task itself is not tried again."""
        backend = self.app.backend  # of this thread
        try:
            getattr(backend, self.name)(*self.args, **self.kwargs)
        except Exception as error:
            if backend.exception_safe_to_retry(error):
                log.warning("results: %s waits for Redis: %s", self, error)
                return False
            log.exception("results: %s failed", self)
        return True
