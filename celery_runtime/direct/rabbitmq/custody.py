"""The parent's side on RabbitMQ: it consumes for its children, and settles what they ran.

Every message that the worker has not settled is held here. What of it no child has taken is in the line. A lost
connection makes the tags of all worthless: what waits is dropped, since RabbitMQ delivers it again, and what runs is
remembered, lest it runs twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from celery_runtime.direct.brokers import Custody
from celery_runtime.direct.child import Ties
from celery_runtime.direct.family import Family, Member
from celery_runtime.direct.rabbitmq import frames
from celery_runtime.direct.rabbitmq.departed import Departed, Task, task_in
from celery_runtime.direct.rabbitmq.line import Line, unwrap, wrap
from celery_runtime.direct.rabbitmq.orphan import Safe
from celery_runtime.direct.rabbitmq.prefetch import Prefetch
from celery_runtime.direct.rabbitmq.reading import Reading
from celery_runtime.direct.rabbitmq.requests import message_of
from celery_runtime.direct.rabbitmq.settlements import Settlements
from celery_runtime.direct.rabbitmq.source import RabbitMQSource
from celery_runtime.direct.rabbitmq.unseen import Unseen
from celery_runtime.direct.slot import Field

LATER = 1.0  # seconds until a message whose task still runs is looked at again


class RabbitMQCustody(Custody):
    """family: the pool's, whose slots tell what each child has in hand.

    A tag is text: the number of the connection, a dot, RabbitMQ's delivery tag.
    """

    feeds = True
    no_ack_consumers = None  # as the channel of a message

    def __init__(self, app: Any, family: Family) -> None:
        self.app = app
        self.family = family
        self.line = Line()
        self.safe = Safe()
        self.departed = Departed(app)
        self.prefetch = Prefetch()
        self.consumer: Any = None
        self._channel: Any = None
        self._amqp: Any = None  # py-amqp's connection, which the channel forgets when it is closed
        self._connection = 0
        self._held: dict[int, bytes] = {}  # by delivery tag, as in the line
        self._queues: dict[str, str] = {}  # by consumer tag
        self._settlements = Settlements()
        self._waiting: set[int] = set()  # for a task that still runs
        self._unseen = Unseen()
        self._left: dict[Member, str] = {}  # what a child had in hand when the connection broke

    def source(self, ties: Ties) -> RabbitMQSource:
        return RabbitMQSource(self.app, self.line, self.safe, ties)

    # -- the connection

    def attach(self, consumer: Any) -> None:
        self._forget()
        self.consumer, self._channel = consumer, consumer.task_consumer.channel
        self._amqp, number = self._channel.connection, self._channel.channel_id
        Reading(self._amqp, number, self._take)
        self._settlements.attach(self._channel, consumer.timer)
        self.safe.leave(self._connection, number, self._amqp.transport.sock, self._amqp.heartbeat or 0)
        self.prefetch.begin(consumer.task_consumer, self.family.size)

    def lose(self) -> None:
        # No child may begin what is delivered again, and what runs is remembered.
        running = list(self._running())
        self._left.update((member, look.tag) for member, look in self.family.looks() if look.held)
        self._forget()
        self.departed.add(running)

    def tick(self) -> None:
        if self._channel is None or not self.consumer.task_consumer:
            return
        looks = [look for _, look in self.family.looks()]
        oldest = max((time.monotonic() - look.started for look in looks if look.started), default=0.0)
        waits = len(self._held) > sum(look.held for look in looks)
        task_consumer = self.consumer.task_consumer
        self.prefetch.look(task_consumer, self.family.size, oldest, waits=waits, give_back=self.give_back)
        for number in self._unseen.confirmed(self._find_unseen):
            self.hand_back(*unwrap(self._held[number])[:2])
        self.line.flush()
        for member in self.family.members:
            if member.slot.numbers[Field.QUIT] and member.is_idle:  # another may have taken what was to wake it
                self.line.wake()

    def give_back(self) -> None:
        for message in self.line.take_back():
            self.basic_reject(unwrap(message)[1], requeue=True)

    @property
    def is_quiet(self) -> bool:
        """Whether everything is settled, and RabbitMQ told so."""
        return (
            not self._held
            and not self._settlements.are_waiting
            and not any(member.is_busy for member in self.family.members)
        )

    def prefetched(self) -> int:
        """Messages that wait for a child, or that one has not begun."""
        begun: int = sum(look.held and look.began for _, look in self.family.looks())
        return max(len(self._held) - begun, 0)

    def queues(self) -> list[str]:
        return sorted(self.consumer.task_consumer._active_tags)  # noqa: SLF001 -- kombu's, as in `_queue_of`

    def has_room(self) -> bool:
        """RabbitMQ keeps the limit."""
        return True

    def wake(self) -> None:
        self.line.wake()

    nudge = wake

    # -- what children say

    def done(self, member: Member, connection: int, tag: int, runtime: float) -> None:
        self.prefetch.count(runtime)
        if connection != self._connection:
            if self._left.get(member) == f"{connection}.{tag}":  # not of an earlier task, told of late
                self.departed.ended(member, settled=True)
        elif self._held.pop(tag, None) is not None:
            self._settlements.add(tag, acknowledge=True)

    def flush_soon(self) -> None:
        """Send what was settled: at once if RabbitMQ waits for it, otherwise several together."""
        self._settlements.flush_soon(self.prefetch.together)
        self.line.flush()

    def flush(self) -> None:
        self._settlements.flush()
        self.line.flush()

    def went_on(self, member: Member, *, settled: bool) -> None:
        self.departed.ended(member, settled=settled)

    def later(self, queue: str, tag: str, raw: bytes) -> None:
        """Look at a message once more when whoever still runs it may have ended."""
        number = self._number(tag)
        if number is not None:
            self._waiting.add(number)
            self.consumer.timer.call_after(LATER, self._once_more, (tag,))

    def _once_more(self, tag: str) -> None:
        number = self._number(tag)
        if number is not None:
            self._waiting.discard(number)
            self.line.put(self._held[number])

    # -- what the parent does about messages in their hands

    def deliver(self, queue: str, tag: str, raw: bytes) -> None:
        number = self._number(tag)
        if number is not None:
            for frame in frames.split(raw):
                self._amqp.on_inbound_frame(frame)
            self._held.pop(number, None)  # the worker's from now on; before, `let_go` can give it back

    def hand_back(self, queue: str, tag: str) -> None:
        number = self._number(tag)
        if number is not None:
            self.line.put(wrap(queue, tag, frames.as_redelivered(unwrap(self._held[number])[2])))

    def let_go(self, tag: str) -> None:
        self.basic_reject(tag, requeue=True)

    def acknowledge(self, queue: str, tag: str) -> None:
        self.basic_ack(tag)

    def raw(self, member: Member, tag: str) -> bytes | None:
        number = self._number(tag)
        return None if number is None else unwrap(self._held[number])[2]

    def message(self, queue: str, tag: str, raw: bytes) -> Any:
        return message_of(queue, tag, raw, self)

    def basic_ack(self, tag: str, multiple: bool = False) -> None:
        number = self._number(tag)
        if number is not None:
            self.departed.settle(self._task(self._held.pop(number)))
            self._settle(number, acknowledge=True)

    def basic_reject(self, tag: str, requeue: bool = False) -> None:
        number = self._number(tag)
        if number is not None:
            del self._held[number]
            self._settle(number, acknowledge=False, requeue=requeue)

    def lost(self, member: Member) -> None:
        """A child died. It may have taken a message, and not have come so far as to show it."""
        self.departed.ended(member, settled=False)
        if self._held:
            self._unseen.suspect(self._find_unseen())

    # -- parts

    def _take(self, buffer: bytearray, start: int, end: int) -> None:
        """Put a delivery in the line."""
        consumer_tag, number = frames.address(buffer, start)
        queue = self._queues.get(consumer_tag) or self._queue_of(consumer_tag)
        message = wrap(queue, f"{self._connection}.{number}", bytes(buffer[start:end]))
        self._held[number] = message
        self.line.put(message)

    def _queue_of(self, consumer_tag: str) -> str:
        tags = self.consumer.task_consumer._active_tags  # noqa: SLF001 -- kombu's, as in celery_runtime.rabbitmq.worker
        self._queues = {tag: queue for queue, tag in tags.items()}
        return self._queues[consumer_tag]

    def _number(self, tag: str) -> int | None:
        """RabbitMQ's tag of a message that is held."""
        connection, _, number = tag.partition(".")
        return int(number) if int(connection) == self._connection and int(number) in self._held else None

    def _settle(self, number: int, *, acknowledge: bool, requeue: bool = False) -> None:
        self._settlements.add(number, acknowledge=acknowledge, requeue=requeue)
        self.flush()

    def _forget(self) -> None:
        """The connection, with all its messages: from now on their tags are those of an earlier one."""
        self._connection += 1
        self.line.take_back()
        for messages in (self._held, self._queues, self._waiting):
            messages.clear()
        self._unseen.clear()
        self._settlements.detach()
        self.safe.empty()
        self._channel = None

    def _hands(self) -> Iterator[tuple[Member, int]]:
        """Each child that has a message in hand, and which."""
        for member, look in self.family.looks():
            number = self._number(look.tag) if look.held else None
            if number is not None:
                yield member, number

    def _running(self) -> Iterator[tuple[Member, Task]]:
        for member, number in self._hands():
            yield member, self._task(self._held[number])
        for member in self.family.members:
            if member.job is not None:
                yield member, task_in(member.job.call[1][2])

    def _task(self, message: bytes) -> Task:
        try:
            properties = frames.content(unwrap(message)[2]).properties
        except frames.FrameError:
            return "", ""
        return task_in(properties.get("application_headers") or {})

    def _find_unseen(self) -> set[int]:
        """Messages that are neither in the line nor in a hand."""
        waiting = self.line.take_back()
        for message in waiting:
            self.line.put(message)
        in_line = {self._number(unwrap(message)[1]) for message in waiting}
        return set(self._held) - in_line - self._waiting - {number for _, number in self._hands()}
