"""How a batch reaches each broker.

Read in kombu 5.7.0: kombu/transport/redis.py, `_put` (what a message becomes); in py-amqp 5.4.2: amqp/channel.py,
`basic_publish_confirm` (a confirmation for each message, awaited before the next).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from amqp.exceptions import MessageNacked, RecoverableConnectionError
from kombu.transport import pyamqp
from kombu.transport import redis as stock


@dataclass
class Item:
    """A message that is held back: what to send, and what to call when it was confirmed."""

    payload: Any
    weight: int = 0  # bytes, about
    sent: bool = False  # and confirmed
    then: list[Callable[[], Any]] = field(default_factory=list)


class Sender(Protocol):
    def prepare(self, channel: Any, message: Any, options: dict[str, Any]) -> Item:
        """Make a message of kombu what `send` sends."""

    def send(self, channel: Any, items: list[Item]) -> None:
        """Send in order, and mark what was confirmed; raises what went wrong first."""


class Commands(list[tuple[Any, ...]]):
    """The commands that kombu makes of a message: it takes this for its own batch."""

    def add(self, *command: Any) -> None:
        self.append(command)


class ToRedis:
    """One pipeline, in which consecutive messages to the same list are one LPUSH: all of them are taken, or none."""

    def prepare(self, channel: Any, message: Any, options: dict[str, Any]) -> Item:
        commands = Commands()
        channel.basic_publish(message, _publish_batch=commands, **options)
        return Item(commands, sum(len(str(command[-1])) for command in commands))

    def send(self, channel: Any, items: list[Item]) -> None:
        commands: list[list[Any]] = []
        places: list[range] = []  # of each item's commands
        for item in items:
            first = len(commands)
            for command in item.payload:
                if commands and command[0] == "lpush" and commands[-1][:2] == list(command[:2]):
                    commands[-1].extend(command[2:])
                    first = min(first, len(commands) - 1)
                else:
                    commands.append(list(command))
            places.append(range(first, len(commands)))
        with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
            for name, *arguments in commands:
                getattr(pipeline, name)(*arguments)
            answers = pipeline.execute(raise_on_error=False)
        errors = {place: answer for place, answer in enumerate(answers) if isinstance(answer, Exception)}
        for item, own in zip(items, places, strict=True):
            item.sent = errors.keys().isdisjoint(own)
        for error in errors.values():
            raise error


class ToRabbitMQ:
    """Messages over a channel of their own, on which the confirmations can be counted."""

    def prepare(self, channel: Any, message: Any, options: dict[str, Any]) -> Item:
        return Item((message, options), len(message.body))

    def send(self, channel: Any, items: list[Item]) -> None:
        confirms: Confirms | None = getattr(channel.connection, "celery_runtime_confirms", None)
        if len(items) == 1 and confirms is None:
            message, options = items[0].payload
            channel.basic_publish(message, **options)
            items[0].sent = True
            return
        if confirms is None or not confirms.channel.is_open:
            confirms = channel.connection.celery_runtime_confirms = Confirms(channel.connection)
        confirms.send(items)


class Confirms:
    """The publisher confirms of one channel."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.channel = connection, connection.channel()
        self.channel.confirm_select()
        self.channel.events["basic_ack"].add(self._acked)
        self.channel.events["basic_nack"].add(self._nacked)
        self._last = 0  # delivery tag: how many were sent
        self._waiting: dict[int, Item] = {}
        self._refused = False

    def send(self, items: list[Item]) -> None:
        self._refused = False
        timeout: float | None = None  # seconds without a confirmation
        try:
            for item in items:
                message, options = item.payload
                timeout = options.get("confirm_timeout") or options.get("timeout")
                self._last += 1
                self._waiting[self._last] = item
                self.channel._basic_publish(message, **options)  # noqa: SLF001 -- without a wait for each
            while self._waiting:
                if not self.channel.is_open:
                    raise RecoverableConnectionError("the connection was lost before the confirmations")
                self.connection.drain_events(timeout=timeout)
        finally:
            self._waiting.clear()  # what is confirmed later was given up
        if self._refused:
            raise MessageNacked

    def _acked(self, tag: int, multiple: bool) -> None:
        for item in self._settled(tag, multiple):
            item.sent = True

    def _nacked(self, tag: int, multiple: bool) -> None:
        self._refused = bool(self._settled(tag, multiple)) or self._refused

    def _settled(self, tag: int, multiple: bool) -> list[Item]:
        tags = [waiting for waiting in self._waiting if waiting <= tag] if multiple else [tag]
        return [self._waiting.pop(tag) for tag in tags if tag in self._waiting]


TO_REDIS, TO_RABBITMQ = ToRedis(), ToRabbitMQ()


def sender_for(channel: Any) -> Sender | None:
    """How to send a batch over `channel`, if its broker takes batches. Raises RecoverableConnectionError."""
    if isinstance(channel, stock.Channel):
        return TO_REDIS
    if channel.connection is None:
        raise RecoverableConnectionError("the connection was closed meanwhile")
    if isinstance(channel, pyamqp.Channel) and channel.connection.confirm_publish:
        return TO_RABBITMQ
    return None
