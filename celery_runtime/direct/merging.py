"""The result of a task that ended, kept back until the step that acknowledges its message stores it too."""

from __future__ import annotations

from typing import Any

from celery import states

from celery_runtime.direct import internals
from celery_runtime.direct.brokers import Source
from celery_runtime.direct.plain import Work
from celery_runtime.direct.slot import Field, Slot
from celery_runtime.results import Pending


class Merging:
    """Of one child."""

    def __init__(self, source: Source, slot: Slot) -> None:
        self.source = source
        self.slot = slot
        self._work: Work | None = None
        self._kept: Pending | None = None
        self._may: dict[int, bool] = {}  # by the place of a task

    def begin(self, work: Work) -> None:
        self._work, self._kept = work, None

    def end(self) -> Pending | None:
        """What was kept of the task that began last."""
        self._work = None
        return self._kept

    def keep(self, task_id: str, state: str, request: Any, pending: Pending) -> bool:
        """Take the result of the running task, if nobody may look for it before the next step stores it."""
        work = self._work
        if work is None or task_id != work.id or state != states.SUCCESS or request is None or request.chord:
            return False
        may = self._may.get(work.place)
        if may is None:
            may = self._may[work.place] = internals.nobody_looks_after(work.task) and self.source.shares(pending)
        if may:
            self.slot.numbers[Field.SOFT] = 0.0  # the task has ended: its soft limit may interrupt nothing more
            self._kept = pending
        return may
