"""What a child and its parent send each other over a pair of sockets.

A child sends whole frames and waits until they are gone. The parent reads what there is and never waits: a child may be
stopped in the middle of a frame. It answers with single bytes, which always fit, and leaves anything longer in the
child's slot.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from typing import Any

_HEAD = struct.Struct("!BI")  # kind, length of the pickle
CHUNK = 1 << 18  # bytes


class Kind(IntEnum):
    IDLE = 0  # nothing was found, the child waits
    MESSAGE = 1  # a claimed message that is not plain: queue, tag, text
    ASK = 2  # for a job
    RESULT = 3  # of a job: whether its function returned, and what
    OUTCOME = 4  # of a message that the parent must settle: queue, tag, text, start, whether it returned, and what
    DONE = 5  # messages of RabbitMQ's need nothing but their acknowledgement: which, the reports say
    LATER = 6  # a message of RabbitMQ's whose task still runs elsewhere: queue, tag, text


WAKE, JOB, NO_JOB = b"w", b"j", b"n"


class ChildEnd:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def send(self, kind: Kind, content: Any = None) -> None:
        data = pickle.dumps(content)
        self.socket.sendall(_HEAD.pack(kind, len(data)) + data)

    def ask(self) -> int | None:
        """Ask the parent for a job; returns the length of what it left in the slot, None when there is no job."""
        self.send(Kind.ASK)
        while (byte := self.socket.recv(1)) == WAKE:
            pass
        if byte != JOB:
            return None
        length = b""
        while len(length) < 8:
            length += self.socket.recv(8 - len(length))
        return int.from_bytes(length)

    def clear(self) -> None:
        """Take note of all that the parent sent to wake this child."""
        with suppress(BlockingIOError):
            while self.socket.recv(64, socket.MSG_DONTWAIT):
                pass


class ParentEnd:
    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._read = bytearray()
        self.ended = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def frames(self) -> Iterator[tuple[Kind, Any]]:
        """Yield what is complete; `ended` once the child closed its end. Raises ValueError for what is no frame."""
        self._fill()
        while len(self._read) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._read)
            if len(self._read) < _HEAD.size + length:
                return
            data = bytes(self._read[_HEAD.size : _HEAD.size + length])
            del self._read[: _HEAD.size + length]
            yield Kind(kind), pickle.loads(data)  # noqa: S301 -- from its own child

    def wake(self) -> None:
        self._send(WAKE)

    def answer(self, length: int | None) -> None:
        """Say that a job of `length` bytes is in the slot, or that there is none."""
        self._send(NO_JOB if length is None else JOB + length.to_bytes(8))

    def close(self) -> None:
        self.socket.close()

    def _fill(self) -> None:
        try:
            while data := self.socket.recv(CHUNK):
                self._read += data
                if len(data) < CHUNK:
                    return
            self.ended = True
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True

    def _send(self, data: bytes) -> None:
        with suppress(OSError):  # it is gone, or was woken thousands of times while it was stopped
            self.socket.send(data)


def pair() -> tuple[ParentEnd, ChildEnd]:
    parent, child = socket.socketpair()
    return ParentEnd(parent), ChildEnd(child)


def pack(job: Any) -> bytes:
    """A job as bytes for a child's slot."""
    return pickle.dumps(job)


def unpack(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 -- from this process' own parent, as prefork does
