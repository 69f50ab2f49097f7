"""Takes a channel's deliveries out of what its connection receives, and leaves all other frames to py-amqp.

Read in py-amqp 5.4.2: amqp/transport.py (`read_frame`, its buffer, its errors), amqp/connection.py (`blocking_read`),
amqp/method_framing.py (`bytes_recv`, by which a silent broker is noticed).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from
from typing import Any

from amqp.exceptions import UnexpectedFrame
from amqp.transport import _UNAVAIL

from celery_runtime.direct.rabbitmq.frames import DELIVER, END, HEAD, METHOD, delivery_end

CHUNK = 65_536  # bytes

Take = Callable[[bytearray, int, int], None]  # told of the buffer, and of a delivery's start and end in it


class Reading:
    """Reads for `connection`, py-amqp's, in place of its transport's `read_frame`."""

    def __init__(self, connection: Any, channel: int, take: Take) -> None:
        self.connection = connection
        self.transport = connection.transport
        self.channel = channel
        self.take = take
        self._buffer = bytearray(self.transport._read_buffer)  # noqa: SLF001 -- what py-amqp read ahead
        self._at = 0
        self.transport.read_frame = self.read_frame

    def read_frame(self, unpack: Any = None) -> tuple[int, int, bytes]:
        """The next frame that is no part of a delivery: its type, channel and payload."""
        while True:
            frame = self._next()
            if frame is not None:
                return frame
            self._fill()

    def _next(self) -> tuple[int, int, bytes] | None:
        buffer, at, size = self._buffer, self._at, len(self._buffer)
        try:
            while size - at > HEAD:
                kind, channel, length = unpack_from(">BHI", buffer, at)
                end = at + 8 + length
                if end > size:
                    break
                if kind == METHOD and channel == self.channel and buffer[at + HEAD : at + HEAD + 4] == DELIVER:
                    end = delivery_end(buffer, at)
                    if not end:
                        break
                    start, at = at, end
                    self.connection.bytes_recv += 1
                    self.take(buffer, start, end)
                    continue
                if buffer[end - 1] != END:
                    raise UnexpectedFrame(f"Received frame_end {buffer[end - 1]:#04x} while expecting 0xce")
                start, at = at, end
                return kind, channel, bytes(buffer[start + HEAD : end - 1])
            return None
        finally:
            self._at = at

    def _fill(self) -> None:
        try:
            data = self.transport.sock.recv(CHUNK)
        except OSError as error:
            if error.errno not in _UNAVAIL and not isinstance(error, TimeoutError):
                self.transport.connected = False
            raise
        if not data:
            self.transport.connected = False
            raise OSError("Server unexpectedly closed connection")
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data
