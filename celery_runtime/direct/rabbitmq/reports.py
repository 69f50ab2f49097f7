"""What a child tells of tasks that need nothing but their acknowledgement.

It passes through shared memory: a system call for each, and the switch to the parent that follows, would cost a tenth
of a small task. The parent looks when it is told to, and ten times a second, so that no report waits for a task.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import isfinite

from celery_runtime.direct.ring import Ring

ROOM = 1 << 16  # bytes: 2500 reports; a child cannot run more before its parent has read of the first
_REPORT = struct.Struct("!IQd")

Report = tuple[int, int, float]  # number of the connection, delivery tag, seconds that the task ran


class Reports:
    """Of one child, and of its successors one after the other."""

    def __init__(self) -> None:
        self._ring = Ring(ROOM)

    def write(self, report: Report) -> bool:
        """The child's side; False when there is no room."""
        return self._ring.write(_REPORT.pack(*report))

    def read(self) -> Iterator[Report]:
        """The parent's side: what was reported since the last look. Raises ValueError where the child wrote over it."""
        sound = self._ring.is_sound
        for note in self._ring.read():
            if len(note) != _REPORT.size:
                raise ValueError(f"a report has {len(note)} bytes")
            connection, tag, seconds = _REPORT.unpack(note)
            if not isfinite(seconds):
                raise ValueError(f"a report has a task of {seconds} s")
            yield connection, tag, seconds
        if not sound:
            raise ValueError("there are more reports than fit")
