"""What a child does whose parent is gone: it ends its task, acknowledges the message, and ends.

RabbitMQ gives a message to somebody else as soon as its connection is closed. So the parent leaves a duplicate of its
connection's socket where its children can reach it, in the buffer of a pair of sockets: as long as one of them lives,
the connection stays open, and what they run is theirs. They keep it alive with heartbeats. With TLS nobody but the
parent can write to it: RabbitMQ closes it after two heartbeats, and the stored result says that the task has run.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

from billiard.util import set_pdeathsig

from celery_runtime.direct.rabbitmq.frames import BEAT, settlement

_ABOUT = struct.Struct("!IHd?")  # number of the connection, channel, heartbeat in seconds, whether it can be written to


class Safe:
    """Where the parent leaves its connection. Made before the fork."""

    def __init__(self) -> None:
        self._in, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def leave(self, connection: int, channel: int, transport_socket: Any, heartbeat: float) -> None:
        """Keep this connection open, and no other."""
        self.empty()
        plain = type(transport_socket) is socket.socket
        about = _ABOUT.pack(connection, channel, heartbeat, plain)
        socket.send_fds(self._in, [about], [transport_socket.fileno()])

    def empty(self) -> None:
        """Keep none open."""
        with suppress(BlockingIOError):
            while True:
                os.close(self._receive()[1])

    def close(self) -> None:
        self.empty()
        self._in.close()
        self._out.close()

    def look(self) -> tuple[int, int, float, int] | None:
        """What is kept, and stays there: connection, channel, heartbeat, descriptor. None but for plain TCP."""
        with suppress(BlockingIOError):
            about, file = self._receive(socket.MSG_PEEK)
            connection, channel, heartbeat, plain = _ABOUT.unpack(about)
            if plain:
                return connection, channel, heartbeat, file
            os.close(file)
        return None

    def _receive(self, flags: int = 0) -> tuple[bytes, int]:
        # Not by socket.recv_fds, which ignores flags.
        about, extra, _, _ = self._out.recvmsg(_ABOUT.size, 64, flags | socket.MSG_DONTWAIT)
        return about, struct.unpack("i", extra[0][2][:4])[0]


class Parent:
    """A child's view of its parent."""

    def __init__(self, safe: Safe) -> None:
        self._safe = safe
        self._pid = os.getppid()
        self._kept: tuple[int, int, float, int] | None = None
        set_pdeathsig(signal.SIGTERM)  # instead of SIGKILL, which Celery sets
        if os.getppid() != self._pid:
            os.kill(os.getpid(), signal.SIGKILL)

    @property
    def is_gone(self) -> bool:
        return os.getppid() != self._pid

    def outlive(self, seconds: float) -> None:
        """Keep its connection for the task that runs, and end this process in `seconds`, 0: never."""
        if self._kept is None:
            self._kept = self._safe.look()
            threading.Thread(target=self._beat, name="amqp-heartbeat", daemon=True).start()
        if seconds:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def acknowledge(self, connection: int, tag: int) -> None:
        """In its place, for a message of the connection that it left."""
        kept = self._kept or self._safe.look()
        if kept is not None and kept[0] == connection:
            with suppress(OSError):
                os.write(kept[3], settlement(kept[1], tag, acknowledge=True))

    def _beat(self) -> None:
        while self._kept is not None and self._kept[2]:
            with suppress(OSError):
                os.write(self._kept[3], BEAT)
            time.sleep(self._kept[2] / 3)
