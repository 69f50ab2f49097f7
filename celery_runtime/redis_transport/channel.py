"""kombu's Redis channel with a claim that cannot lose a message.

kombu pops a message and writes it down afterwards; a worker that is killed, or a connection that is cut, in between
has lost it (8 of 24 000 tasks in 40 kills). Here a worker waits with BLMOVE, which hands the message to the queue's
`claiming` list, and takes it from there into `unacked` by one script that also carries the acknowledgements of what
has ended. Each message wakes one waiting worker. Read in kombu 5.7.0: kombu/transport/redis.py, virtual/base.py.
"""

from __future__ import annotations

import contextlib
from queue import Empty
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.log import get_logger
from kombu.transport import redis as stock
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis import RedisError

from celery_runtime.redis_transport.claims import Claimed, Claims
from celery_runtime.redis_transport.held import Held
from celery_runtime.redis_transport.messages import MalformedError, Message, label
from celery_runtime.redis_transport.qos import QoS
from celery_runtime.redis_transport.steps import Steps

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
        self.qos._delivered = held.messages
        self.steps.hand_back(list(held.returns))
        held.returns.clear()

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way: no claim, no waiting, no acknowledgement."""
        return not (self.claims.under_way() or self.held.acks)

    def acknowledge(self, tag: str) -> None:
        """Let the next turn of the loop carry the acknowledgement; a thread of the pool wakes the loop for it."""
        if not self.held.settle(tag):
            return
        loop = get_event_loop() if self.held.outlives or self.connection.in_loop else None
        if loop is None:
            self._flush_acks()
        else:
            loop.call_soon(_nothing)

    # -- kombu's interface

    def _brpop_start(self, timeout: float | None = None) -> None:
        self.claims.turn()

    def _brpop_read(self, **options: Any) -> bool:
        try:
            messages = self.claims.read()
        finally:
            self._flush_brpop_reauth()
        for queue, tag, _ in messages:
            if queue not in self.claims.unrecorded:
                self.held.add(tag, queue, None)
        for message in messages:
            self._queue_cycle.rotate(message.queue)
            if message.queue in self.connection._callbacks:
                self._deliver_claimed(message)
            else:  # cancelled meanwhile
                self.held.drop(message.tag)
                self.steps.hand_back([(message.queue, message.tag)])
        return True

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, consumer_tag: str, **kwargs: Any) -> Any:
        if no_ack:
            self.claims.unrecorded.add(queue)
        self.claims.idle = False
        return super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        if no_ack:
            return super().basic_get(queue, no_ack=True, **kwargs)
        for tag, raw in self.steps.claim_now(queue):
            message = self.Message(label(loads(bytes_to_str(raw)), tag), channel=self)
            self.held.add(tag, queue, message)
            return message
        return None

    def close(self) -> None:
        """Hand back what is held, unless the next channel goes on with it."""
        if not self.closed:
            self._closing = True
            self._finish()
        self._in_poll = None
        super().close()

    def _on_connection_disconnect(self, connection: Any) -> None:
        self.claims.forget(connection)
        super()._on_connection_disconnect(connection)

    # -- steps of the above

    def _deliver_claimed(self, message: Claimed) -> None:
        queue, tag, raw = message
        try:
            payload = label(loads(bytes_to_str(raw)), tag)
            self.connection._deliver(payload, queue)
        except (MalformedError, ValueError, TypeError) as error:
            if self.held.messages.get(tag) is not None:
                raise  # it was delivered: not the message's fault
            self._refuse(message, f"not a message of kombu: {error}")

    def _refuse(self, message: Claimed, reason: str) -> None:
        queue, tag, raw = message
        if self.on_malformed is not None:
            self.on_malformed(queue, tag, raw, reason)
        else:
            logger.critical("%s: discarded %s: %r", queue, reason, raw[:1024])
            self.acknowledge(tag)

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
