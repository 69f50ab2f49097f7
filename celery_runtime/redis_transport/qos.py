"""What kombu asks about unacknowledged messages, answered from what is held."""

from __future__ import annotations

from typing import Any

from kombu.log import get_logger
from kombu.transport import redis as stock
from redis import RedisError

STOCK_EVERY = 12  # sweeps; what plain kombu workers left behind is looked at once a minute
logger = get_logger(__name__)


class QoS(stock.QoS):  # type: ignore[misc]
    def __init__(self, channel: Any, prefetch_count: int = 0) -> None:
        super().__init__(channel, prefetch_count)
        self._delivered = channel.held.messages
        self._sweeps = 0

    def append(self, message: Any, delivery_tag: str) -> None:
        self._delivered[delivery_tag] = message

    def ack(self, delivery_tag: str) -> None:
        self.channel.acknowledge(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Requeued messages go to the end of the queue, as kombu's do."""
        if not requeue:
            self.ack(delivery_tag)
            return
        queue = self.channel.held.drop(delivery_tag)
        if queue is not None:
            self.channel.steps.hand_back([(queue, delivery_tag)], to_the_end=True)

    def can_consume(self) -> bool:
        return not self.prefetch_count or len(self._delivered) < self.prefetch_count

    def can_consume_max_estimate(self) -> int | None:
        return max(self.prefetch_count - len(self._delivered), 0) if self.prefetch_count else None

    def restore_unacked(self, client: Any = None) -> None:
        self.channel.hand_back(list(self._delivered))

    def restore_unacked_once(self, stderr: Any = None) -> None:
        self._on_collect.cancel()
        channel = self.channel
        if not channel.do_restore or channel.held.outlives or channel.lost:
            return
        try:
            self.restore_unacked()
        except (*channel.connection_errors, RedisError) as error:  # told at the exit of the interpreter too
            logger.warning("what is held comes back after its visibility timeout: %s", error)
            channel.lost = True

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Put back what nobody renewed within the visibility timeout; every `interval`-th call looks."""
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        channel = self.channel
        for queue in channel.active_queues:
            swept = channel.steps.sweep(queue, self.visibility_timeout)
            if self._sweeps % STOCK_EVERY == 0:
                swept += channel.steps.sweep_stock(queue, channel.stock_visibility_timeout)
            if swept:
                logger.warning("%s: %d messages of workers that are gone are back in the queue", queue, swept)
        self._sweeps += 1
