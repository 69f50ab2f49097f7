"""Publish many messages in few round trips to the broker: in order, and each one confirmed.

While a batch is open, what its thread publishes through its producer is held back, and sent together: to Redis as one
LPUSH for each list in one pipeline, to RabbitMQ as messages whose confirmations are awaited after the last one. What
is sent again after a lost connection is the same messages, with the same task ids.

Tasks a second of `publishing.publish` in batches of 1, 10, 100 and 1000 messages, no-op task, two cores, all on one
machine: Redis 2066, 4640, 4746, 4748; RabbitMQ with a quorum queue 750, 1854, 2226, 2260.

Read in kombu 5.7.0: kombu/messaging.py, `Producer._publish` (a producer asks its batch, one for each thread).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

from celery_runtime import metrics
from celery_runtime.batches.senders import Item, sender_for

SIZE = 100  # messages; 1000 are no faster, and ten times as many are in doubt when a connection is lost
WEIGHT = 1 << 20  # bytes; a command of Redis that is larger keeps its other clients waiting for milliseconds
AGE = 0.1  # seconds that a message is held back when the next ones come slowly

_open = local()


class Batch:
    """What one thread publishes through `producer`, until it is flushed.

    policy: how often to try again when the broker is lost, as kombu's `ensure` takes it; None for once.
    """

    def __init__(self, producer: Any, policy: dict[str, Any] | None) -> None:
        self.producer, self.policy = producer, policy
        self.failed = False
        self._held: deque[Item] = deque()
        self._weight, self._since = 0, 0.0

    def publish(self, channel: Any, message: Any, **options: Any) -> Any:
        """Hold `message` back; kombu's producer calls it in the place of `channel.basic_publish`."""
        sender = sender_for(channel)
        if sender is None:  # of a broker that knows no batches
            return channel.basic_publish(message, **options)
        item = sender.prepare(channel, message, options)
        if not self._held:
            self._since = time.monotonic()
        self._held.append(item)
        self._weight += item.weight
        return None

    def after(self, callback: Callable[[], Any]) -> None:
        """Call `callback` once the broker has confirmed everything up to here."""
        if self._held:
            self._held[-1].then.append(callback)
        else:
            callback()

    def flush_if_due(self) -> None:
        """Send what is held back if it is much or old."""
        if self._held and (len(self._held) >= SIZE or self._weight >= WEIGHT or time.monotonic() - self._since >= AGE):
            self.flush()

    def flush(self) -> None:
        """Send what is held back, and wait until the broker has it. Raises what a single publishing would."""
        if not self._held or self.failed:
            return
        connection, send = self.producer.connection, self._send
        if self.policy is not None:
            send = connection.ensure(self.producer, send, **self.policy)
        self.failed = True
        began = time.perf_counter()
        try:
            with connection._reraise_as_library_errors():  # noqa: SLF001 -- as Celery's send_task does
                send()
        except Exception:
            metrics.count("publish_errors", len(self._held), queue=metrics.OTHER)
            raise
        metrics.publishing.add(time.perf_counter() - began)
        self.failed, self._weight = False, 0

    def abort(self) -> None:
        """Forget what is held back."""
        self._held.clear()

    def _send(self) -> None:
        channel = self.producer.channel
        try:
            sender_for(channel).send(channel, [item for item in self._held if not item.sent])  # type: ignore[union-attr]
        finally:
            while self._held and self._held[0].sent:
                for callback in self._held.popleft().then:
                    callback()


@contextmanager
def batching(producer: Any, policy: dict[str, Any] | None) -> Iterator[Batch]:
    """Let this thread publish through `producer` in batches; they have been sent when the block ends.

    That holds too for what was published before the block raised. A block within another joins it.
    """
    of_thread = producer._batch_local  # noqa: SLF001
    if isinstance(joined := getattr(of_thread, "current", None), Batch):
        yield joined
        return
    outer: Batch | None = getattr(_open, "batch", None)
    if outer is not None:  # of another producer: what it holds back was published before
        outer.flush()
    of_thread.current = _open.batch = batch = Batch(producer, policy)
    try:
        yield batch
    finally:
        try:
            batch.flush()
        finally:
            del of_thread.current
            _open.batch = outer
