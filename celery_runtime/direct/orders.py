"""What the parent tells all its children, in shared memory that only the parent writes.

A child reads two numbers between two tasks, and more only when those changed: nothing is sent, nothing is waited for.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

QUEUES = 65_536  # bytes for the names of the queues, as JSON
FILTER = 1 << 20  # bytes, one for each value of an id's checksum: 50 000 revoked ids send 5 % of all to the parent


class Order(IntEnum):
    CLAIM = 0  # 1 while the children may claim
    JOBS = 1  # how many jobs of the parent's wait for a child
    VERSION = 2  # of the queues and of what is said about each task; odd while it is being written
    EVENTS = 3  # 1 while somebody wants events
    REVOKED = 4  # 1 once an id was revoked


class TaskOrder(NamedTuple):
    """direct: whether a child may run the task's plain messages itself. soft, hard: seconds, 0: none."""

    direct: bool
    soft: float
    hard: float


class Orders:
    """tasks: the names of all tasks that the worker knows, in an order that parent and children share."""

    def __init__(self, tasks: list[str]) -> None:
        self.tasks = tasks
        self._each = 8 * len(Order)
        self._text = self._each + 24 * len(tasks)
        self._filter = self._text + 8 + QUEUES
        self._memory = mmap.mmap(-1, self._filter + FILTER)
        view = memoryview(self._memory)
        self.numbers = view[: self._each].cast("d")
        self._tasks = view[self._each : self._text].cast("d")
        self._length = view[self._text : self._text + 8].cast("d")
        self._names = view[self._text + 8 : self._filter]
        self._written: tuple[list[str], list[TaskOrder]] = ([], [])

    def publish(self, queues: list[str], tasks: list[TaskOrder]) -> bool:
        """Say which queues are consumed and how each task is run; returns whether that changed.

        Raises ValueError when the names of the queues do not fit.
        """
        if (queues, tasks) == self._written:
            return False
        text = json.dumps(queues).encode()
        if len(text) > QUEUES:
            raise ValueError(f"the names of {len(queues)} queues have {len(text)} bytes, more than {QUEUES}")
        self.numbers[Order.VERSION] += 1
        self._length[0] = len(text)
        self._names[: len(text)] = text
        for index, order in enumerate(tasks):
            for offset, number in enumerate(order):
                self._tasks[3 * index + offset] = float(number)
        self.numbers[Order.VERSION] += 1
        self._written = (list(queues), list(tasks))
        return True

    def read(self) -> tuple[float, list[str], list[TaskOrder]]:
        """The version and what it says; once more when the parent wrote meanwhile."""
        while True:
            version = self.numbers[Order.VERSION]
            text, numbers = bytes(self._names[: int(self._length[0])]), self._tasks.tolist()
            if self.numbers[Order.VERSION] == version and version % 2 == 0:
                break
        tasks = [TaskOrder(bool(numbers[i]), numbers[i + 1], numbers[i + 2]) for i in range(0, len(numbers), 3)]
        return version, json.loads(text or b"[]"), tasks

    def revoke(self, ids: Iterable[str]) -> None:
        """Let no child run a task with one of `ids`; some others go to the parent too, who knows."""
        for task_id in ids:
            self._memory[self._filter + _place(task_id)] = 1
            self.numbers[Order.REVOKED] = 1.0

    def perhaps_revoked(self, task_id: str) -> bool:
        return self.numbers[Order.REVOKED] != 0 and self._memory[self._filter + _place(task_id)] != 0


def _place(task_id: str) -> int:
    return zlib.crc32(task_id.encode(errors="surrogatepass")) % FILTER
