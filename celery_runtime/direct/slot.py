"""What one child shows its parent: numbers in shared memory that only one of the two writes, and the message in hand.

A child may end at any instruction, and may write over its slot before it does. So the parent takes nothing in here for
granted: `look` checks what it reads, and what makes no sense is a child to be replaced.
"""

from __future__ import annotations

import math
import mmap
import os
from enum import IntEnum
from typing import NamedTuple

TAG, QUEUE = 128, 160  # bytes; a longer delivery tag, from a foreign producer, is the parent's business


class Field(IntEnum):
    """Numbers of 8 bytes, which a processor writes in one piece."""

    # written by the child
    SEQUENCE = 0  # of the tasks that it began
    STARTED = 1  # monotonic seconds; 0 while none runs
    HELD = 2  # 1 while a message is claimed and not settled
    LENGTH = 3  # bytes of the message
    SOFT = 4  # time limits of the running task in seconds, 0: none
    HARD = 5
    BEGAN = 6  # 1 once the task of the message in hand was begun
    ENDED = 7  # 1 once it needs nothing but its acknowledgement
    # written by the parent
    SOFT_SENT = 8  # the SEQUENCE whose soft limit is over
    STOPPED = 9  # the SEQUENCE that is to be interrupted
    ANNOUNCED = 10  # the SEQUENCE whose start was told as an event
    QUIT = 11  # 1: settle what is in hand and end


_NUMBERS = 8 * len(Field)


class DamagedError(Exception):
    """The child wrote over its slot."""


class Look(NamedTuple):
    """What a child has in hand. `tag` is empty for a job of its parent's."""

    sequence: int
    started: float
    soft: float
    hard: float
    held: bool
    began: bool
    ended: bool
    queue: str
    tag: str


class Slot:
    """The shared memory of one child, and of its successors one after the other.

    extra: bytes for the numbers of its tasks.
    """

    def __init__(self, extra: int = 0) -> None:
        self._memory = mmap.mmap(-1, _NUMBERS + TAG + QUEUE + 4 + extra)
        view = memoryview(self._memory)
        self.numbers = view[:_NUMBERS].cast("d")
        self._texts = view[_NUMBERS : _NUMBERS + TAG + QUEUE + 4]
        self.extra = view[_NUMBERS + TAG + QUEUE + 4 :]
        self._file = os.memfd_create("celery-message", os.MFD_CLOEXEC)
        self._queue = ""

    def close(self) -> None:
        os.close(self._file)

    def clear(self) -> None:
        """Before a new child: nothing is in hand."""
        for field in Field:
            self.numbers[field] = 0.0

    # -- the child's side

    def hold(self, queue: str, tag: str, raw: bytes) -> bool:
        """Show a message as claimed, empty when the parent has it; False when its names do not fit."""
        texts, encoded = self._texts, tag.encode()
        if len(encoded) > TAG or len(queue.encode()) > QUEUE:
            return False
        if raw:
            os.pwrite(self._file, raw, 0)
        numbers = self.numbers
        numbers[Field.LENGTH] = len(raw)
        texts[0] = len(encoded)
        texts[2 : 2 + len(encoded)] = encoded
        if queue != self._queue:
            self._queue, name = queue, queue.encode()
            texts[1] = len(name)
            texts[2 + TAG : 2 + TAG + len(name)] = name
        numbers[Field.BEGAN] = numbers[Field.ENDED] = 0.0
        numbers[Field.HELD] = 1.0
        return True

    def begin(self, now: float, soft: float, hard: float) -> int:
        """Show the start of a task; returns its number."""
        numbers = self.numbers
        numbers[Field.SOFT], numbers[Field.HARD] = soft, hard
        numbers[Field.BEGAN] = 1.0
        number = numbers[Field.SEQUENCE] + 1
        numbers[Field.SEQUENCE] = number
        numbers[Field.STARTED] = now
        return int(number)

    def end(self) -> None:
        self.numbers[Field.STARTED] = 0.0

    def release(self) -> None:
        """The message is settled, or its parent's."""
        self.numbers[Field.HELD] = 0.0

    # -- both sides

    def write(self, data: bytes) -> None:
        os.pwrite(self._file, data, 0)

    def read(self, length: int) -> bytes:
        """Raises DamagedError when there is not so much."""
        data = os.pread(self._file, length, 0)
        if len(data) != length:
            raise DamagedError(f"a message of {length} bytes has {len(data)}")
        return data

    # -- the parent's side

    def look(self) -> Look:
        """What the child has in hand now; raises DamagedError."""
        numbers = self.numbers
        read = [numbers[field] for field in range(Field.SOFT_SENT)]
        if not all(map(math.isfinite, read)) or min(read) < 0 or read[Field.HELD] > 1:
            raise DamagedError(f"its numbers are {read}")
        held = bool(read[Field.HELD])
        queue, tag = (self._text(1, 2 + TAG, QUEUE), self._text(0, 2, TAG)) if held else ("", "")
        return Look(
            int(read[Field.SEQUENCE]),
            read[Field.STARTED],
            read[Field.SOFT],
            read[Field.HARD],
            held,
            bool(read[Field.BEGAN]),
            bool(read[Field.ENDED]),
            queue,
            tag,
        )

    def message(self) -> bytes:
        """The message in hand; raises DamagedError."""
        length = self.numbers[Field.LENGTH]
        if not math.isfinite(length) or not 0 <= length < 2**32:
            raise DamagedError(f"its message has {length} bytes")
        return self.read(int(length))

    def _text(self, length: int, start: int, most: int) -> str:
        size = self._texts[length]
        if not 0 < size <= most:
            raise DamagedError(f"a name has {size} bytes")
        try:
            return bytes(self._texts[start : start + size]).decode()
        except UnicodeDecodeError as error:
            raise DamagedError(f"a name is {error.object!r}") from None
