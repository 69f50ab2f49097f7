"""Dead letters on RabbitMQ: a quorum queue per queue, each message as it was, with one header more.

The header `x-dead-letter` holds the fields of Note. A message that RabbitMQ parked itself has its own `x-death` headers
instead. While a listing runs it holds what it read, and another command does not see that; at its end everything goes
back in its order. Tried on RabbitMQ 4.0.5 with py-amqp 5.3.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Self

import amqp
from amqp.exceptions import NotFound
from kombu.compression import compress

from celery_runtime.dead_letters.letter import DeadLetter, Note, replayed
from celery_runtime.rabbitmq.topology import dead_queue
from celery_runtime.redis_transport import keys

HEADER = "x-dead-letter"
OF_THE_BROKER = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
REASONS = {"delivery_limit": "poison", "rejected": "rejected", "expired": "expired"}  # RabbitMQ's -> ours
SETTLE = 5  # seconds at most; another command may have taken them meanwhile
PATIENCE = {"max_retries": 2}  # the message is safe where it is, and the worker's loop stands still meanwhile


def park(app: Any, message: Any, note: Note) -> None:
    """Publish `message` to the dead letters and wait for the confirmation; the caller then acknowledges it.

    Over a connection of its own: waiting on the consumer's would let it deliver more meanwhile. Raises what kombu and
    py-amqp raise when no queue took it.
    """
    properties = dict(message.properties)
    # A dead letter does not expire; the time to live starts anew when it is replayed.
    mark = asdict(note) | {"expiration": properties.pop("expiration", None)}
    properties["application_headers"] = _without_marks(message.headers) | {HEADER: mark}
    with app.producer_or_acquire() as producer:
        publish = producer.connection.ensure(producer, _publish_with, **app.conf.task_publish_retry_policy | PATIENCE)
        publish(producer, dead_queue(note.queue), _body_as_it_came(message), properties)


def _publish_with(producer: Any, queue: Any, body: bytes, properties: dict[str, Any]) -> None:
    producer.maybe_declare(queue)
    _publish(producer.channel, queue.name, body, properties)


def _publish(channel: Any, queue: str, body: bytes, properties: dict[str, Any]) -> None:
    """Raises when there is no such queue (mandatory) or it refused the message (confirm)."""
    channel.basic_publish(amqp.Message(body, **properties), exchange="", routing_key=queue, mandatory=True)


def _body_as_it_came(message: Any) -> bytes:
    """What kombu decompressed is compressed again; it keeps no copy."""
    body = _bytes(message.body, message.content_encoding)
    compression = message.headers.get("compression")
    return bytes(compress(body, compression)[0]) if compression and not message.errors else body


def _bytes(body: Any, encoding: str | None) -> bytes:
    """Undo py-amqp's decoding, which it does where it can."""
    return body.encode(encoding or "utf-8") if isinstance(body, str) else bytes(body or b"")


def _without_marks(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name != HEADER and not name.startswith(OF_THE_BROKER)}


class RabbitMQBox:
    """The dead letters of one queue. What is read is held until the end of the `with` block, then goes back."""

    def __init__(self, connection: Any, queue: str) -> None:
        self.connection, self.queue = connection, queue
        self.held: list[Any] = []

    def __enter__(self) -> Self:
        self.inside, self.outside = self.connection.channel(), self.connection.channel()
        return self

    def __exit__(self, *_: object) -> None:
        for tag in self.held:  # one by one: a closed channel gives them back in any order
            self.inside.basic_reject(tag, requeue=True)
        self.inside.close()
        self.outside.close()
        self._settle()

    def _settle(self) -> None:
        """Wait until what was given back is there: RabbitMQ does not confirm it, and the next look would miss some."""
        until = time.monotonic() + SETTLE
        while self.depth() < len(self.held) and time.monotonic() < until:
            time.sleep(0.02)

    def depth(self) -> int:
        """How many nobody holds now; 0 where no worker and no publisher has been yet."""
        channel = self.connection.channel()
        try:
            return int(channel.queue_declare(keys.dead(self.queue), passive=True).message_count)
        except NotFound:
            return 0
        finally:
            channel.close()

    def letters(self) -> Iterator[DeadLetter]:
        """Yield those that are there now, oldest first."""
        for _ in range(self.depth()):
            message = self.inside.basic_get(keys.dead(self.queue))
            if message is None:
                return
            self.held.append(message.delivery_tag)
            yield _letter(self.queue, message)

    def replay(self, letter: DeadLetter) -> bool:
        """Put one back at the end of its queue; a crash before its acknowledgement leaves it in both."""
        properties = dict(letter.properties) | {"application_headers": replayed(letter.headers)}
        _publish(self.outside, self.queue, letter.body, properties)
        return self.drop(letter)

    def drop(self, letter: DeadLetter) -> bool:
        self.inside.basic_ack(letter.place)
        self.held.remove(letter.place)
        return True


def _letter(queue: str, message: Any) -> DeadLetter:
    properties = dict(message.properties)
    headers = properties.pop("application_headers", None) or {}
    mark = headers.get(HEADER) or _mark_of_the_broker(queue, headers)
    if mark.get("expiration"):
        properties["expiration"] = mark["expiration"]
    body = _bytes(message.body, properties.get("content_encoding"))
    note = Note.from_dict(mark | {"queue": queue})
    return DeadLetter(note, _without_marks(headers), properties, body, message.delivery_tag)


def _mark_of_the_broker(queue: str, headers: dict[str, Any]) -> dict[str, Any]:
    """The same from `x-death`; a delayed message has an entry for each level that it went through, too."""
    death: dict[str, Any] = next((each for each in headers.get("x-death") or () if each.get("queue") == queue), {})
    reason = str(death.get("reason", ""))
    at = death.get("time")
    return {
        "reason": REASONS.get(reason, "rejected"),
        "detail": f"RabbitMQ parked it: {reason}" if reason else "it was published to the dead letters",
        "time": at.replace(tzinfo=UTC).isoformat(timespec="milliseconds") if isinstance(at, datetime) else "",
        "exchange": death.get("exchange", ""),
        "routing_key": next(iter(death.get("routing-keys") or ()), queue),
        "expiration": death.get("original-expiration"),
    }
