"""Waiting for messages without taking them: one connection per list that is blocked in BLMOVE."""

from __future__ import annotations

from queue import Empty
from time import monotonic
from typing import Any

from redis.exceptions import OutOfMemoryError


class Waiter:
    """Waits until a list has a message, which Redis then moves to the queue's `claiming` list.

    Whichever worker claims next takes it from there, so that nothing hangs on this one. BLMOVE waits on one list;
    the commands that wait on several give the message away with their answer.
    """

    def __init__(self, channel: Any, queue: str, key: str) -> None:
        self.channel = channel
        self.queue = queue
        self.key = key
        self.name = f"WAIT {key}"
        self.client = channel._create_client(asynchronous=True)
        self.sent = 0.0  # monotonic seconds; 0 when it does not wait
        channel.handlers[self.name] = self.handle

    def start(self) -> None:
        """Wait for at most `Claims.longest_wait`."""
        channel = self.channel
        self.sent = monotonic()
        self.client.connection.send_command(
            "BLMOVE", self.key, channel.steps.claiming(self.queue), "RIGHT", "LEFT", channel.claims.longest_wait
        )

    def handle(self) -> None:
        """Handle the answer in the event loop."""
        try:
            moved = self.read()
        except OutOfMemoryError:
            self.channel.claims.pause()
        except self.channel.connection_errors:
            self.client.connection.disconnect()
            raise
        else:
            self.channel.claims.woken(self, moved=moved)
        raise Empty  # nothing was delivered yet: drain_events() goes on

    def read(self) -> bool:
        """Read the answer; returns whether a message was moved."""
        self.sent = 0.0
        return self.client.connection.read_response() is not None

    def end(self) -> None:
        """Give the connection up, and forget it where kombu's poller knows it."""
        connection, self.client.connection = self.client.connection, None
        self.channel.handlers.pop(self.name, None)
        self.channel.connection.cycle.forget(self.channel, self.client, self.name)
        if connection is not None:
            connection.disconnect()
            self.client.connection_pool.release(connection)
