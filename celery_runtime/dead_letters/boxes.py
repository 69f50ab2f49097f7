"""The box of dead letters that belongs to a broker; both kinds are used in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, Self

from celery_runtime.dead_letters.letter import DeadLetter


class Box(Protocol):
    """The dead letters of one queue; its letters may be moved while they are read."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def depth(self) -> int: ...
    def letters(self) -> Iterator[DeadLetter]: ...
    def replay(self, letter: DeadLetter) -> bool: ...
    def drop(self, letter: DeadLetter) -> bool: ...


def is_rabbitmq(connection: Any) -> bool:
    return bool(connection.transport.driver_type == "amqp")


def box_of(connection: Any, queue: str) -> Box:
    """Return the dead letters of `queue` behind a connection of kombu."""
    if is_rabbitmq(connection):
        from celery_runtime.dead_letters.rabbitmq import RabbitMQBox

        return RabbitMQBox(connection, queue)
    from celery_runtime.dead_letters.redis import RedisBox

    return RedisBox(connection, queue)
