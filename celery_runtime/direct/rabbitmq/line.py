"""The line of messages that a worker has and no child has begun: a queue in the kernel, of which all children take.

A pair of sockets that keeps records apart. The parent puts records in at one end; whichever child is free takes the
next at the other, which all share, and the kernel wakes one of those that wait. The parent has that end too: what it
takes out there no child will begin. When the parent is gone, the line says so.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from contextlib import suppress
from enum import IntEnum

LOOK = 1  # seconds after which a child that waits looks at its orders, though nobody woke it
LARGEST = 32_768  # bytes of a record that goes through the sockets; a larger one goes in a file of its own
ROOM = 1 << 21  # bytes that may wait; the kernel may allow less


class Record(IntEnum):
    MESSAGE = 0
    WAKE = 1  # look at your orders
    LARGE = 2  # a message, in the file that comes with it


def wrap(queue: str, tag: str, raw: bytes) -> bytes:
    """A delivery as it waits in the line, with the queue that it came from and a tag that no connection has twice."""
    name, text = queue.encode(), tag.encode()
    return bytes((len(name), len(text))) + name + text + raw


def unwrap(message: bytes) -> tuple[str, str, bytes]:
    """Queue, tag and delivery."""
    first = 2 + message[0]
    start = first + message[1]
    return message[2:first].decode(), message[first:start].decode(), message[start:]


class Line:
    """Made before the fork. What the kernel has no room for waits in the parent until `flush`."""

    def __init__(self) -> None:
        self._in, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._in.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        self._in.setblocking(False)
        self._out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", LOOK, 0))
        self._overflow: deque[bytes] = deque()
        self._buffer = bytearray(LARGEST)
        self._view = memoryview(self._buffer)

    def close(self) -> None:
        self._in.close()
        self._out.close()

    # -- the parent's side

    def put(self, message: bytes) -> None:
        if self._overflow or not self._send(message):
            self._overflow.append(message)

    def flush(self) -> None:
        """Put in what had no room before."""
        while self._overflow and self._send(self._overflow[0]):
            self._overflow.popleft()

    def wake(self) -> None:
        """Let one child that waits look at its orders."""
        with suppress(BlockingIOError):  # it is full: nobody waits
            self._in.send(bytes([Record.WAKE]))

    def take_back(self) -> list[bytes]:
        """Take out every message that no child has taken, the first one first."""
        found = []
        with suppress(BlockingIOError):
            while True:
                message = self._take(socket.MSG_DONTWAIT)
                if message is not None:
                    found.append(message)
        found += self._overflow
        self._overflow.clear()
        return found

    # -- a child's side

    def leave_to_parent(self) -> None:
        """After the fork, in a child: only the parent's end says that it is gone."""
        self._in.close()

    def take(self) -> bytes | None:
        """Wait for the next message; None when there was something else to look at. Raises EOFError without parent."""
        try:
            return self._take()
        except BlockingIOError:  # LOOK is over
            return None

    def take_now(self) -> bytes | None:
        """The next message if there is one. Raises EOFError without parent."""
        try:
            return self._take(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    # -- parts

    def _send(self, message: bytes) -> bool:
        try:
            if len(message) < LARGEST:
                self._in.send(b"\0" + message)
            else:
                self._send_file(message)
        except BlockingIOError:
            return False
        return True

    def _send_file(self, message: bytes) -> None:
        file = os.memfd_create("celery-message", os.MFD_CLOEXEC)
        try:
            with open(file, "wb", closefd=False) as writer:
                writer.write(message)
            socket.send_fds(self._in, [bytes([Record.LARGE])], [file])
        finally:
            os.close(file)

    def _take(self, flags: int = 0) -> bytes | None:
        size, extra, _, _ = self._out.recvmsg_into([self._buffer], 64, flags | socket.MSG_CMSG_CLOEXEC)
        if not size:
            raise EOFError("the parent is gone")
        kind = self._buffer[0]
        if kind == Record.MESSAGE:
            return bytes(self._view[1:size])
        if kind == Record.WAKE:
            return None
        (file,) = struct.unpack("i", extra[0][2][:4])
        with open(file, "rb") as reader:  # noqa: PTH123 -- a descriptor
            reader.seek(0)
            return reader.read()
