"""Count what the children run, in shared memory that outlives them: a child adds, its parent reads at each scrape.

Each row is one task from one queue, in the order in which a child first met them. Names are places in lists: of the
tasks in `Orders.tasks`, of the queues in `Queues`.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from celery import states

from celery_runtime.metrics.times import EXAMPLE_LASTS, LONGEST_ID, MOST, OUTCOMES, Tally, run_bounds, wait_bounds
from celery_runtime.task_metrics import OTHER, PUBLISHED

ROWS = 256  # tasks times queues that are told apart; what comes later is counted in the last row
NAME = 160  # bytes of a queue's name
_SUM, _SLOWEST, _AT = MOST + 1, MOST + 2, MOST + 3  # after the buckets: their sum, and the example's numbers
_TIMES = MOST + 4
_NUMBERS = 2 + 2 + len(OUTCOMES) + 2 * _TIMES  # used and task; received and started; outcomes; run and wait
_NAMES = 8 * _NUMBERS  # then the queue's name, and the ids of the two examples
_ROW = _NAMES + NAME + 2 * LONGEST_ID
SIZE = ROWS * _ROW  # bytes
_RECEIVED, _STARTED, _OUTCOMES = 2, 3, 4
_RUN = _OUTCOMES + len(OUTCOMES)
_WAIT = _RUN + _TIMES
_OUTCOME_OF = {states.FAILURE: "failed", states.RETRY: "retried", states.IGNORED: "ignored"}


class Tallies:
    """The rows in `memory`, SIZE bytes of a child's slot."""

    def __init__(self, memory: memoryview) -> None:
        self._rows = [memory[start : start + _ROW] for start in range(0, SIZE, _ROW)]
        self._numbers = [row[:_NAMES].cast("d") for row in self._rows]
        self._known: dict[tuple[int, str], Any] = {}
        self._bounds = run_bounds(), wait_bounds()

    # -- the child's side

    def count(self, work: Any, queue: str, began: float, info: Any) -> None:
        """Count one delivery from its receipt to its end. `began`: Unix seconds."""
        row, numbers = self._known.get((work.place, queue)) or self._row(work.place, queue)
        numbers[_RECEIVED] += 1
        numbers[_STARTED] += 1
        outcome = "succeeded" if info is None else _OUTCOME_OF[info.state]
        numbers[_OUTCOMES + OUTCOMES.index(outcome)] += 1
        now = time.time()
        times = [(0, _RUN, now - began)]
        published = work.request.get(PUBLISHED)
        if isinstance(published, int | float):
            times.append((1, _WAIT, max(began - published, 0.0)))
        for which, start, seconds in times:
            numbers[start + bisect_left(self._bounds[which], seconds)] += 1
            numbers[start + _SUM] += seconds
            if seconds >= numbers[start + _SLOWEST] or now - numbers[start + _AT] > EXAMPLE_LASTS:
                place = _NAMES + NAME + which * LONGEST_ID
                row[place : place + LONGEST_ID] = work.id.encode()[:LONGEST_ID].ljust(LONGEST_ID, b"\0")
                numbers[start + _SLOWEST], numbers[start + _AT] = seconds, now

    def _row(self, task: int, queue: str) -> Any:
        """The row of a task from a queue: the one that an earlier child used, or the next that is free."""
        for row, numbers in zip(self._rows[:-1], self._numbers[:-1], strict=True):
            if not numbers[0]:
                row[_NAMES : _NAMES + NAME] = queue.encode()[:NAME].ljust(NAME, b"\0")
                numbers[1], numbers[0] = float(task), 1.0
            elif (int(numbers[1]), _name(row)) != (task, queue):
                continue
            self._known[task, queue] = row, numbers
            return row, numbers
        last = self._numbers[-1]
        last[1], last[0] = -1.0, 1.0
        self._known[task, queue] = self._rows[-1], last
        return self._rows[-1], last

    # -- the parent's side

    def read(self, tasks: list[str]) -> Iterable[tuple[tuple[str, str], Tally]]:
        """Yield the numbers of each (task, queue)."""
        for row, numbers in zip(self._rows, self._numbers, strict=True):
            if not numbers[0]:
                continue
            read = numbers.tolist()
            if not all(map(math.isfinite, read)):  # written over
                continue
            task = int(read[1])
            names = (tasks[task], _name(row)) if 0 <= task < len(tasks) else (OTHER, OTHER)
            yield names, self._tally(row, read)

    def _tally(self, row: memoryview, numbers: Sequence[float]) -> Tally:
        tally = Tally()
        tally.received, tally.started = int(numbers[_RECEIVED]), int(numbers[_STARTED])
        for place, outcome in enumerate(OUTCOMES):
            tally.outcomes[outcome] = int(numbers[_OUTCOMES + place])
        for which, (times, start) in enumerate(((tally.run, _RUN), (tally.wait, _WAIT))):
            times.counts = [int(number) for number in numbers[start : start + len(times.counts)]]
            times.total = numbers[start + _SUM]
            task_id = _text(row, _NAMES + NAME + which * LONGEST_ID, LONGEST_ID)
            times.example = numbers[start + _SLOWEST], task_id, numbers[start + _AT]
        return tally


def _name(row: memoryview) -> str:
    return _text(row, _NAMES, NAME)


def _text(row: memoryview, start: int, size: int) -> str:
    return bytes(row[start : start + size]).rstrip(b"\0").decode(errors="replace")
