"""What RabbitMQ is told about messages that are settled: at once where it waits for it, otherwise several together.

A write for each, and what RabbitMQ does about it, is a third of what a small task costs there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery_runtime.direct.rabbitmq.frames import settlement

TOGETHER = 0.005  # seconds that one may wait for others


class Settlements:
    """Of one connection after the other."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._channel = 0
        self._connection: Any = None  # py-amqp's
        self._timer: Any = None
        self._is_due = False

    def attach(self, channel: Any, timer: Any) -> None:
        """From now on those of this channel of py-amqp's."""
        self._channel, self._connection, self._timer = channel.channel_id, channel.connection, timer

    def detach(self) -> None:
        """The connection is lost, and with it what it was not told."""
        self._waiting.clear()
        self._connection, self._is_due = None, False

    @property
    def are_waiting(self) -> bool:
        """Whether there are some that RabbitMQ was not told of."""
        return bool(self._waiting)

    def add(self, tag: int, *, acknowledge: bool, requeue: bool = False) -> None:
        """Note an acknowledgement, or a rejection."""
        self._waiting.append(settlement(self._channel, tag, acknowledge=acknowledge, requeue=requeue))

    def flush(self) -> None:
        """Send all. Raises OSError."""
        if self._waiting and self._connection is not None:
            data, self._waiting = b"".join(self._waiting), []
            self._connection.transport.write(data)
            self._connection.bytes_sent += 1

    def flush_soon(self, together: int) -> None:
        """Send all once they are as many as `together`, or in a moment. Raises OSError."""
        if len(self._waiting) >= together:
            self.flush()
        elif self._waiting and not self._is_due:
            self._is_due = True
            self._timer.call_after(TOGETHER, self._flush_late)

    def _flush_late(self) -> None:
        self._is_due = False
        with suppress(OSError):  # whoever reads the connection hears of its end
            self.flush()
