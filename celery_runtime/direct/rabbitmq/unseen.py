"""Messages that nobody seems to have, after a child died that may have taken one and not come so far as to show it."""

from __future__ import annotations

import time
from collections.abc import Callable

UNSEEN = 1.0  # seconds; a living child shows what it took within microseconds


class Unseen:
    """By their delivery tags."""

    def __init__(self) -> None:
        self._due = 0.0
        self._suspects: set[int] = set()

    def suspect(self, found: set[int]) -> None:
        """At the death of a child, nobody had these."""
        self._due, self._suspects = time.monotonic() + UNSEEN, self._suspects | found

    def confirmed(self, find: Callable[[], set[int]]) -> set[int]:
        """Those of them that nobody has shown since, once; `find` looks for what nobody has now."""
        if not self._suspects or time.monotonic() < self._due:
            return set()
        lost = self._suspects & find()
        self.clear()
        return lost

    def clear(self) -> None:
        self._suspects = set()
