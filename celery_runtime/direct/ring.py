"""Notes on their way from a child to its parent, in memory that they share and that outlives the child."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

LONGEST = (1 << 16) - 1  # bytes of a note
_WRITTEN, _READ = range(2)  # bytes since the start, by the child and by its parent


class Ring:
    """room: bytes of the notes that the parent has not read; one takes two more than it is long."""

    def __init__(self, room: int) -> None:
        view = memoryview(mmap.mmap(-1, 16 + room))
        self._room = room
        self._counts = view[:16].cast("Q")
        self._ring = view[16:]

    def write(self, note: bytes) -> bool:
        """The child's side; False when there is no room."""
        written, data = self._counts[_WRITTEN], len(note).to_bytes(2) + note
        if written + len(data) - self._counts[_READ] > self._room:
            return False
        start = written % self._room
        end = start + len(data)
        if end <= self._room:
            self._ring[start:end] = data
        else:
            self._ring[start:], self._ring[: end - self._room] = data[: self._room - start], data[self._room - start :]
        self._counts[_WRITTEN] = written + len(data)  # last: what a killed child was writing was never there
        return True

    @property
    def is_sound(self) -> bool:
        """Whether there may be so much to read."""
        written, read = self._counts
        return 0 <= written - read <= self._room

    def read(self) -> Iterator[bytes]:
        """The parent's side: what was noted since the last look; nonsense where the child wrote over it."""
        written, read = self._counts
        size, start = written - read, read % self._room
        data = bytes(self._ring[start : start + size]) if 0 < size <= self._room else b""
        data += bytes(self._ring[: size - len(data)]) if data else b""
        self._counts[_READ] = written
        start = 0
        while start < len(data):
            end = start + 2 + int.from_bytes(data[start : start + 2])
            yield data[start + 2 : end]
            start = end
