"""The parent's side on Redis: its channel waits for messages and renews what its children hold.

The rest they do for themselves: nothing is taken ahead, and what was settled needs no word of the parent's.
"""

from __future__ import annotations

from typing import Any

from celery.utils.log import get_logger
from redis.exceptions import RedisError

from celery_runtime.direct.brokers import Custody
from celery_runtime.direct.child import Ties
from celery_runtime.direct.family import Member
from celery_runtime.direct.orders import Order
from celery_runtime.direct.redis.source import RedisSource
from celery_runtime.direct.slot import DamagedError
from celery_runtime.redis_transport.claims import Claimed
from celery_runtime.redis_transport.messages import parse

log = get_logger(__name__)


class RedisCustody(Custody):
    """pool: whose children claim; a new consumer's channel goes on with what the one before held.

    What runs when a connection is lost stays this worker's, and is renewed over the next one.
    """

    feeds = False

    def __init__(self, app: Any, pool: Any) -> None:
        self.app = app
        self.pool = pool
        self.consumer: Any = None

    def source(self, ties: Ties) -> RedisSource:
        return RedisSource(self.app, ties.pipe, _warn_of_late_acknowledgement)

    # -- the connection

    def attach(self, consumer: Any) -> None:
        self.consumer = consumer
        self._channel.claims.claimers = self
        self._channel.held.children = self.pool.supervisor

    @property
    def is_quiet(self) -> bool:
        members = self.pool.family.members
        return all(member.free for member in members if member.process is not None and not member.is_dead)

    def prefetched(self) -> int:
        return sum(look.held and not look.began for look in self.pool.supervisor.looks())

    def queues(self) -> list[str]:
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
        for member in self.pool.family.members:
            if member.free:
                member.wake()
                return

    # -- messages in the hands of children

    def deliver(self, queue: str, tag: str, raw: bytes) -> None:
        channel = self._channel
        if channel.lost or channel.closed:  # the next one returns it to its queue
            channel.held.returns.append((queue, tag))
            return
        channel.held.add(tag, queue, None)
        channel.deliver([Claimed(queue, tag, raw, True)])

    def hand_back(self, queue: str, tag: str) -> None:
        # To the head of its queue, now or over the next connection.
        channel = self._channel
        channel.held.drop(tag)
        try:
            channel.steps.hand_back([(queue, tag)])
        except (*channel.connection_errors, RedisError) as error:
            log.warning("direct: %s goes back to %s once Redis is there: %s", tag, queue, error)
            channel.held.returns.append((queue, tag))

    acknowledge = hand_back  # where its result is, is not known

    def let_go(self, tag: str) -> None:
        self._channel.held.drop(tag)  # not renewed, it is delivered again, and counted, when its lease ends

    forget = let_go

    def raw(self, member: Member, tag: str) -> bytes | None:
        try:
            raw: bytes = member.slot.message()
        except DamagedError:
            return None
        return raw

    def message(self, queue: str, tag: str, raw: bytes) -> Any:
        message = self._channel.Message(parse(raw, tag), channel=self._channel)
        self._channel.held.add(tag, queue, message)
        return message

    @property
    def _channel(self) -> Any:
        return self.consumer.task_consumer.channel


def _warn_of_late_acknowledgement(tag: str) -> None:
    log.warning("the message %s was acknowledged after its lease had ended; it runs again elsewhere", tag)
