"""Queues, dead queues and delays on RabbitMQ, each declared with all that it needs, by whoever is first.

A message that arrives before its queue is bound is dropped without a word, and one that is dead-lettered before its
dead queue exists waits in memory. Celery's workers declare delays when they start; a web process that publishes with a
countdown before any worker ever ran would lose its message. So here a queue declares its dead queue first and binds
itself to the delays, and the delays declare all their levels.

Read in kombu 5.7.0 (transport/native_delayed_delivery.py) and tried on RabbitMQ 4.0.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from amqp.exceptions import PreconditionFailed
from kombu import Exchange
from kombu import Queue as KombuQueue
from kombu.transport.native_delayed_delivery import (
    CELERY_DELAYED_DELIVERY_EXCHANGE,
    MAX_LEVEL,
    bind_queue_to_native_delayed_delivery_exchange,
    declare_native_delayed_delivery_exchanges_and_queues,
    level_name,
)

from celery_runtime.redis_transport import keys
from celery_runtime.settings import ConfigError

DEAD = "dead"
DELAY = level_name(MAX_LEVEL)
# Milliseconds until RabbitMQ takes a delivery for stuck and closes its channel (30 min by default): an hour above the
# longest time limit that queues.toml may hold. One figure for all, so that a new limit changes no declared queue.
CONSUMER_TIMEOUT = 90_000_000
UNLIMITED = -1  # without it RabbitMQ 4 drops a dead letter that was listed 20 times
MISMATCH = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for (?P<kind>\w+) '(?P<name>[^']+)' in vhost '(?P<vhost>[^']+)': "
    r"received (?P<ours>.+) but current is (?P<theirs>.+)"
)


def task_queue(name: str, delivery_limit: int) -> TaskQueue:
    """Return a queue as it is declared; all are in one exchange, of type topic because delayed delivery needs that."""
    arguments = {
        "x-queue-type": "quorum",
        # Workers park a message that took `delivery_limit` of them; this is for those that other clients take.
        "x-delivery-limit": delivery_limit,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-routing-key": name,
        # Kept until the dead queue has it: at most once is the default. It asks for this overflow behaviour.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-consumer-timeout": CONSUMER_TIMEOUT,
    }
    exchange = Exchange("tasks", type="topic")
    return TaskQueue(name, exchange, name, queue_arguments=arguments)  # type: ignore[no-untyped-call]


def plain_queue(name: str) -> KombuQueue:
    """Return a queue as plain Celery declares it, so that its workers and publishers can use it too."""
    return PlainQueue(name, Exchange(name, type="direct"), routing_key=name)  # type: ignore[no-untyped-call]


def dead_queue(queue: str) -> KombuQueue:
    """The queue of the dead letters of `queue`."""
    return KombuQueue(
        keys.dead(queue),
        Exchange(DEAD, type="direct"),
        routing_key=queue,
        queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": UNLIMITED},
    )


class TaskQueue(KombuQueue):
    """A queue of tasks that is never without its dead queue and its way out of a delay."""

    def declare(self, nowait: bool = False, channel: Any = None) -> str:
        """Declare it after its dead queue; raises ConfigError when it exists with other arguments."""
        channel = channel or self.channel
        with explained():
            dead_queue(self.name).declare(channel=channel)
            name: str = super().declare(nowait=nowait, channel=channel)  # type: ignore[no-untyped-call]
            Exchange(CELERY_DELAYED_DELIVERY_EXCHANGE, type="topic").declare(channel=channel)
            bind_queue_to_native_delayed_delivery_exchange(_connection_of(channel), self)
        return name


class PlainQueue(KombuQueue):
    """A queue that holds no delays: a worker keeps what has a countdown until its time."""

    def declare(self, nowait: bool = False, channel: Any = None) -> str:
        """Declare it; raises ConfigError when it exists with other arguments."""
        with explained():
            name: str = super().declare(nowait=nowait, channel=channel)  # type: ignore[no-untyped-call]
        return name


class DelayExchange(Exchange):
    """Where delayed messages enter; declared with the 28 levels of queues through which they come out in time."""

    def declare(self, nowait: bool = False, passive: bool | None = None, channel: Any = None) -> None:
        with explained():
            declare_native_delayed_delivery_exchanges_and_queues(_connection_of(channel or self.channel), "quorum")


def delay_exchange() -> DelayExchange:
    return DelayExchange(DELAY, type="topic")  # type: ignore[no-untyped-call]


def _connection_of(channel: Any) -> Any:
    """What kombu's functions take: they would open a channel for each queue and close none."""
    return SimpleNamespace(channel=lambda: channel)


@contextmanager
def explained() -> Iterator[None]:
    """Turn RabbitMQ's refusal of changed arguments into a ConfigError."""
    try:
        yield
    except PreconditionFailed as error:
        found = MISMATCH.search(error.reply_text or "")
        if not found:
            raise
        raise ConfigError(_mismatch(found)) from None


def _mismatch(found: re.Match[str]) -> str:
    argument, kind, name, vhost, ours, theirs = found.groups()
    remedy = "Delete it on RabbitMQ, and it is made anew."
    if kind == "queue":
        remedy = (
            "Let its workers empty it, then delete it, and it is made anew:\n"
            f"  rabbitmqctl --vhost {vhost} delete_queue --if-empty {name}"
        )
    return (
        f"RabbitMQ: {kind} {name!r} has {argument} = {_value(theirs)}, and this process wants {_value(ours)}.\n"
        f"  A {kind} keeps the arguments it was made with. {remedy}"
    )


def _value(text: str) -> str:
    """Take the value out of "the value '5' of type 'signedint'"."""
    quoted = re.search(r"'([^']*)'", text)
    return quoted.group(1) if quoted else text
