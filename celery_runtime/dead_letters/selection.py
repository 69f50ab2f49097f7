"""Which dead letters a command is about: its filters, checked, and the letters that pass them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from celery_runtime.dead_letters import REASONS
from celery_runtime.dead_letters.letter import DeadLetter
from celery_runtime.settings import ConfigError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
AGE = re.compile(r"(\d{1,6})([smhd])")


@dataclass(frozen=True)
class Selection:
    """What a letter must be; None asks for nothing. `before`: parked before that time, ISO 8601 in UTC."""

    queues: tuple[str, ...]
    id: str | None = None
    task: str | None = None
    reason: str | None = None
    before: datetime | None = None
    limit: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        note = letter.note
        wanted = ((self.task, letter.task), (self.reason, note.reason))
        if any(want is not None and want != got for want, got in wanted):
            return False
        if self.id is not None and not letter.id.startswith(self.id) and letter.task_id != self.id:
            return False
        return self.before is None or not note.time or datetime.fromisoformat(note.time) < self.before


def selection(options: Any, known: Iterable[str]) -> Selection:
    """Check the options of the command line; raises ConfigError that names the value and what is allowed."""
    queues, given = tuple(known), vars(options)
    queue, reason = given.get("queue"), given.get("reason")
    if queue is not None and queue not in queues:
        raise ConfigError(f"--queue {queue}: there is no such queue.\n  Choose one of {', '.join(queues)}.")
    if reason is not None and reason not in REASONS:
        raise ConfigError(f"--reason {reason}: there is no such reason.\n  Choose one of {', '.join(REASONS)}.")
    return Selection(
        queues=(queue,) if queue else queues,
        id=given.get("id"),
        task=given.get("task"),
        reason=reason,
        before=_before(given.get("older_than")),
        limit=_limit(given.get("limit")),
    )


def _before(age: str | None) -> datetime | None:
    if age is None:
        return None
    found = AGE.fullmatch(age)
    if not found:
        raise ConfigError(f"--older-than {age}: this is no age.\n  Write a number and s, m, h or d: 90s, 15m, 12h, 7d.")
    return datetime.now(UTC) - timedelta(seconds=int(found[1]) * UNITS[found[2]])


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"--limit {text}: this is no number of letters.\n  Write a whole number from 1.")
    return int(text)
