"""What runs while its connection is lost: remembered where the results are, so that it does not run twice.

RabbitMQ delivers the message again at once, to this worker or to another. As long as the task runs, its mark says so
and whoever gets the message waits; when it has ended, another says that nothing is left to do. A thread writes them:
the worker's loop connects meanwhile, and Redis may be away too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery
from celery.utils.log import get_logger

from celery_runtime import forking
from celery_runtime.direct.rabbitmq.marks import RUNS_FOR, Marks, stamp

PAUSE = 1.0  # seconds between two tries
PATIENCE = 60  # tries; then nobody can be told
Task = tuple[str, str]  # id, and what sets its message apart
log = get_logger(__name__)


def task_in(headers: dict[str, Any]) -> Task:
    return str(headers.get("id", "")), stamp(headers)


class Departed:
    """Of one worker; keyed by whatever stands for the child that runs a task."""

    def __init__(self, app: Celery) -> None:
        self.marks = Marks(app)
        self._running: dict[Any, Task] = {}
        self._notes: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, running: Iterable[tuple[Any, Task]]) -> None:
        """These children run these tasks."""
        for key, task in running:
            self._running[key] = task
            self._note(self.marks.run, *task)

    def ended(self, key: Any, *, settled: bool) -> None:
        """The child went on, or died; settled: whether its message needs nothing but an acknowledgement."""
        task = self._running.pop(key, None)
        if task is not None and settled:
            self._note(self.marks.settle, *task)
        elif task is not None:
            self._note(self.marks.forget, task[0])

    def settle(self, task: Task) -> None:
        """The parent has settled a task: its acknowledgement may yet be lost."""
        self._note(self.marks.settle, *task)

    def _note(self, call: Callable[..., None], *arguments: Any) -> None:
        with self._changed:
            self._notes.append((call, arguments))
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="departed", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                due = not self._changed.wait_for(lambda: self._notes, RUNS_FOR / 3 if self._running else None)
            if due:
                for task in list(self._running.values()):
                    self._try(self.marks.run, *task)
            while self._notes:
                call, arguments = self._notes.popleft()
                self._try(call, *arguments)

    def _try(self, call: Callable[..., None], *arguments: Any) -> None:
        for _ in range(PATIENCE):
            try:
                with forking.hold_off():
                    call(*arguments)
            except Exception as error:  # noqa: BLE001 -- every backend has errors of its own
                log.warning("direct: trying again to note what runs without its connection: %s", error)
                threading.Event().wait(PAUSE)
            else:
                return
