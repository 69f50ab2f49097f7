"""kombu's Redis channel with a claim that cannot lose a message.

kombu pops a message and writes it down afterwards; a worker that is killed, or a connection that is cut, in between
has lost it (8 of 24 000 tasks in 40 kills). Here a worker waits with BLMOVE, which hands the message to the queue's
`claiming` list, and takes it from there into `unacked` by one script that also carries the acknowledgements of what
has ended. Each message wakes one waiting worker. Read in kombu 5.7.0: kombu/transport/redis.py, virtual/base.py.
"""

from __future__ import annotations

import contextlib
from collections import deque
from queue import Empty
from typing import Any

from kombu.log import get_logger
from kombu.transport import redis as stock
from redis import RedisError
from redis.exceptions import OutOfMemoryError

from celery_runtime.redis_transport.claims import Claimed, Claims
from celery_runtime.redis_transport.held import Held
from celery_runtime.redis_transport.messages import MalformedError, Message, parse
from celery_runtime.redis_transport.qos import QoS
from celery_runtime.redis_transport.steps import Steps

REPLIES = ".reply.celery.pidbox"  # to `inspect`, whose caller may be gone: without an end they stay for ever
REPLIES_KEPT = 60_000  # milliseconds
logger = get_logger(__name__)


class Channel(stock.Channel):  # type: ignore[misc]
    Message = Message
    QoS = QoS
    from_transport_options = (*stock.Channel.from_transport_options, "stock_visibility_timeout")
    stock_visibility_timeout = 3600  # seconds, kombu's default; of plain workers that share the queues for a while
    on_malformed: Any = None  # called with (queue, delivery tag, raw message, reason)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.held = Held()
        self.lost = False  # the connection broke: nothing is said to Redis on closing
        self.steps = Steps(self)
        self.claims = Claims(self)
        super().__init__(*args, **kwargs)

    def take_over(self, held: Held) -> None:
        """Go on with what an earlier channel of this worker held; hand back what it could not."""
        self.held = held
        held.loop = self.connection.loop
        self.qos._delivered = held.messages
        self.steps.hand_back(list(held.returns))
        held.returns.clear()

    def holding(self, tag: str) -> tuple[str, str]:
        """The keys of the hash and of the index in which Redis holds a message for this worker."""
        index, unacked = self.steps.holding(self.held.queue_of(tag) or "")
        return unacked, index

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way: no claim, no waiting, no acknowledgement."""
        return not (self.claims.under_way() or self.held.acks)

    def acknowledge(self, tag: str) -> None:
        """Let the next turn of the loop carry the acknowledgement; a thread of the pool wakes the loop for it."""
        if not self.held.settle(tag):
            return
        loop = self.held.loop or (self.connection and self.connection.loop)
        if loop is not None:
            loop.call_soon(_nothing)
        elif not self.closed:
            self._flush_acks()

    def hand_back(self, tags: list[str]) -> None:
        """Return held messages to the head of their queues, in the order in which they were claimed."""
        held = self.held.only(set(tags))
        self.steps.hand_back(held)
        for _, tag in held:
            self.held.drop(tag)

    def put_back(self, messages: list[Claimed]) -> None:
        """Return what was claimed and cannot be delivered, to the head of its queue."""
        self.steps.hand_back([(message.queue, message.tag) for message in messages if message.recorded])
        self.steps.put_back([(message.queue, message.raw) for message in messages if not message.recorded])
        for message in messages:
            self.held.drop(message.tag)

    def deliver(self, claimed: list[Claimed]) -> None:
        """Deliver what is held; put back what nobody consumes, and the rest when one fails."""
        messages = deque(claimed)
        callbacks, unwanted = self.connection._callbacks, []
        try:
            while messages:
                message = messages.popleft()
                self._queue_cycle.rotate(message.queue)
                if message.queue in callbacks:
                    self._deliver_claimed(message)
                else:  # cancelled meanwhile
                    unwanted.append(message)
        finally:
            self.put_back([*unwanted, *messages])

    # -- kombu's interface

    def _brpop_start(self, timeout: float | None = None) -> None:
        self.claims.turn()

    def _brpop_read(self, **options: Any) -> bool:
        try:
            messages = self.claims.read()
        finally:
            self._flush_brpop_reauth()
        for queue, tag, _, recorded in messages:
            if recorded:
                self.held.add(tag, queue, None)
        self.deliver(messages)
        return True

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, consumer_tag: str, **kwargs: Any) -> Any:
        (self.claims.unrecorded.add if no_ack else self.claims.unrecorded.discard)(queue)
        self.claims.idle = False
        consumed = super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)
        self.claims.retire()
        return consumed

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        while (claimed := self.steps.claim_now(queue, record=not no_ack)) is not None:
            tag, raw = claimed
            if not no_ack:
                self.held.add(tag, queue, None)
            try:
                message = self.Message(parse(raw, tag), channel=self)
            except MalformedError as error:
                self._refuse(Claimed(queue, tag, raw, not no_ack), error)
                continue
            if not no_ack:
                self.qos.append(message, tag)
            return message
        return None

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        if queue.endswith(REPLIES):
            with self.conn_or_acquire() as client:
                client.pexpire(queue, REPLIES_KEPT)

    def _purge(self, queue: str) -> int:
        self.steps.give_back(queue)
        return int(super()._purge(queue))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self.steps.give_back(queue)
        super()._delete(queue, *args, **kwargs)

    def close(self) -> None:
        """Hand back what is held, unless the next channel goes on with it."""
        if not self.closed:
            self._closing = True
            self._finish()
        if self._in_poll:
            self.claims.unsend()
        super().close()

    def _on_connection_disconnect(self, connection: Any) -> None:
        self.claims.forget(connection)
        super()._on_connection_disconnect(connection)

    # -- steps of the above

    def _deliver_claimed(self, message: Claimed) -> None:
        try:
            self.connection._deliver(parse(message.raw, message.tag), message.queue)
        except MalformedError as error:
            self._refuse(message, error)

    def _refuse(self, message: Claimed, error: MalformedError) -> None:
        reason = f"not a message of kombu: {error}"
        if self.on_malformed is not None:
            self.on_malformed(message.queue, message.tag, message.raw, reason)
        else:
            logger.critical("%s: discarded %s: %r", message.queue, reason, message.raw[:1024])
            self.acknowledge(message.tag)

    def _finish(self) -> None:
        for step in (self._finish_claim, self._finish_waiting, self._flush_acks, self.qos.restore_unacked_once):
            if self.lost:
                return
            try:
                step()
            except (*self.connection_errors, RedisError) as error:
                logger.warning("while closing the channel to Redis: %s", error)
                self.lost = True

    def _finish_claim(self) -> None:
        if self._in_poll:
            with contextlib.suppress(Empty):
                self.claims.read()

    def _finish_waiting(self) -> None:
        for waiter in self.claims.waiting:
            with contextlib.suppress(OutOfMemoryError):  # it had not begun to wait
                if waiter.read():
                    self.steps.give_back(waiter.queue)

    def _flush_acks(self) -> None:
        acks = list(self.held.acks)
        self.steps.acknowledge(acks)
        for _ in acks:
            self.held.acks.popleft()


class SentinelChannel(Channel, stock.SentinelChannel):  # type: ignore[misc]
    from_transport_options = (*stock.SentinelChannel.from_transport_options, "stock_visibility_timeout")


def _nothing() -> None:
    """Wakes the loop."""
