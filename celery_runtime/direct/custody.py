"""What the parent does on Redis about the messages that its children hold; on RabbitMQ, direct.rabbitmq.inlet does.

The channel of the worker waits for messages and renews what is held; a child claims and acknowledges for itself.
"""

from __future__ import annotations

from typing import Any

from celery.utils.log import get_logger
from redis.exceptions import RedisError

from celery_runtime.direct.orders import Order
from celery_runtime.direct.redis import Source
from celery_runtime.direct.slot import DamagedError
from celery_runtime.redis_transport.claims import Claimed
from celery_runtime.redis_transport.messages import parse

log = get_logger(__name__)


class Custody:
    """pool: whose children claim; a new consumer's channel goes on with what the one before held."""

    feeds = False  # the children fetch for themselves

    def __init__(self, app: Any, pool: Any) -> None:
        self.app = app
        self.pool = pool
        self.consumer: Any = None

    def source(self, ties: Any) -> Source:
        """For a child, in its own process."""
        return Source(self.app, ties.pipe, _warn_of_late_acknowledgement)

    # -- the connection

    def attach(self, consumer: Any) -> None:
        self.consumer = consumer
        self._channel.claims.claimers = self
        self._channel.held.children = self.pool.supervisor

    def lose(self) -> None:
        """What runs stays this worker's; its messages are renewed over the next connection."""

    def tick(self) -> None:
        """Nothing is prefetched."""

    def give_back(self) -> None:
        """Nothing is prefetched."""

    def flush(self) -> None:
        """The loop's next turn carries what was acknowledged."""

    flush_soon = flush

    def nudge(self) -> None:
        """A child that waits listens to its parent alone."""

    def went_on(self, member: Any, *, settled: bool) -> None:
        """What a child runs is its own to settle, whatever becomes of the connection."""

    @property
    def is_quiet(self) -> bool:
        """Whether no child does anything, or will, until it is told to."""
        members = self.pool.family.members
        return all(member.free for member in members if member.process is not None and not member.is_dead)

    def prefetched(self) -> int:
        """Messages that a child has claimed and not begun."""
        return sum(look.held and not look.began for look in self.pool.supervisor.looks())

    def queues(self) -> list[str]:
        """What the children claim from."""
        return sorted(self._channel.active_queues)

    def has_room(self) -> bool:
        """As stock does, stop fetching when too much waits here: for its time, for a rate limit, for a child."""
        shown = sum(member.request is not None for member in self.pool.family.members)
        limit = self._channel.qos.prefetch_count
        return not limit or len(self._channel.held.messages) - shown < limit

    # -- as the claimers of the channel

    def free(self) -> int:
        """How many children wait for messages."""
        if not self.pool.orders.numbers[Order.CLAIM]:
            return 0
        return sum(member.free for member in self.pool.family.members)

    def wake(self) -> None:
        """Let one of them look for messages."""
        for member in self.pool.family.members:
            if member.free:
                member.wake()
                return

    # -- messages in the hands of children

    def deliver(self, queue: str, tag: str, raw: bytes) -> None:
        """Let the worker receive a message as if it had claimed it itself."""
        channel = self._channel
        if channel.lost or channel.closed:  # the next one returns it to its queue
            channel.held.returns.append((queue, tag))
            return
        channel.held.add(tag, queue, None)
        channel.deliver([Claimed(queue, tag, raw, True)])

    def hand_back(self, queue: str, tag: str) -> None:
        """Return a message to the head of its queue, now or over the next connection."""
        channel = self._channel
        channel.held.drop(tag)
        try:
            channel.steps.hand_back([(queue, tag)])
        except (*channel.connection_errors, RedisError) as error:
            log.warning("direct: %s goes back to %s once Redis is there: %s", tag, queue, error)
            channel.held.returns.append((queue, tag))

    acknowledge = hand_back  # of what a dead child had run and not acknowledged: where its result is, is not known

    def let_go(self, tag: str) -> None:
        """Renew a message no more: it is delivered again, and counted, when its lease ends."""
        self._channel.held.drop(tag)

    forget = let_go  # its child settled it

    def raw(self, member: Any, tag: str) -> bytes | None:
        """The message that a child has in hand; None when it cannot be read."""
        try:
            raw: bytes = member.slot.message()
        except DamagedError:
            return None
        return raw

    def message(self, queue: str, tag: str, raw: bytes) -> Any:
        """The same as kombu has it, held by the channel. Raises MalformedError."""
        message = self._channel.Message(parse(raw, tag), channel=self._channel)
        self._channel.held.add(tag, queue, message)
        return message

    def lost(self, member: Any) -> None:
        """A child died: what it held without showing it comes back when its lease ends."""

    @property
    def _channel(self) -> Any:
        return self.consumer.task_consumer.channel


def _warn_of_late_acknowledgement(tag: str) -> None:
    log.warning("the message %s was acknowledged after its lease had ended; it runs again elsewhere", tag)
