"""Subscribe to a result when somebody waits for it, not when its task is published.

Celery subscribes to every result before it publishes the task, and unsubscribes when the result object is gone: two
commands of each `delay()` for an answer that most publishers never ask for. With Redis away it takes 20 s and then
fails, though the broker may be RabbitMQ and well.

Here what is waited for is noted, and subscribed to once somebody reads: a thread in `get()`, or the drainer of gevent
and eventlet. A result that was stored before its subscription took effect was published to nobody, so it is looked for
when Redis confirms the subscription, also after redis-py has connected again. A publisher that waits for nothing
never subscribes.

Read in Celery 5.7.0: celery/backends/redis.py (ResultConsumer, on_task_call), celery/backends/asynchronous.py.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from celery.backends.asynchronous import greenletDrainer
from celery.backends.redis import ResultConsumer as CeleryResultConsumer
from kombu.utils.encoding import ensure_bytes

AT_ONCE = 1000  # channels in one SUBSCRIBE, results in one MGET; they bound how long other clients of Redis wait


class ResultConsumer(CeleryResultConsumer):  # type: ignore[misc]
    """Celery's, whose subscriptions wait for a reader, and which looks for the result once they are in effect."""

    _pubsub: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._wanted: set[bytes] = set()  # keys to subscribe to; added to under the lock
        self._found: dict[bytes, tuple[str, str]] = {}  # what a look found of a task that goes on: state and result
        super().__init__(*args, **kwargs)

    def consume_from(self, task_id: str) -> None:
        key = self._get_key_for_task(task_id)
        with self._locked():
            # What is about to be unsubscribed may have had its message already: a new confirmation looks for it.
            if key not in self.subscribed_to or key in self._pending_unsubscribe:
                self._pending_unsubscribe.discard(key)
                self._wanted.add(key)
            if self._socket_waiter or isinstance(self.drainer, greenletDrainer):
                self._subscribe()

    def cancel_for(self, task_id: str) -> None:
        key = self._get_key_for_task(task_id)
        self._wanted.discard(key)
        self._found.pop(key, None)
        super().cancel_for(task_id)

    def drain_events(self, timeout: float | None = None) -> None:
        if self._wanted or (self._pubsub is None and self.subscribed_to):
            with self._locked():
                self._subscribe()
        super().drain_events(timeout)

    def _subscribe(self) -> None:
        keys = list(self._wanted)
        self._wanted.difference_update(keys)
        lost = self._pubsub is None and bool(self.subscribed_to)  # a reconnection failed
        self.subscribed_to.update(keys)
        with self.reconnect_on_error():
            if lost:
                self._reconnect_pubsub()
                return
            if self._pubsub is None:
                self._pubsub = self.backend.client.pubsub()
            for first in range(0, len(keys), AT_ONCE):
                self._pubsub.subscribe(*keys[first : first + AT_ONCE])

    def _reconnect_pubsub(self) -> None:
        super()._reconnect_pubsub()
        self._pubsub.ignore_subscribe_messages = False

    def _drain_one(self, pubsub: Any, timeout: float | None) -> bool:
        """Read up to the next published state; look for the results whose subscriptions were confirmed before it."""
        confirmed: list[bytes] = []
        published, read = None, False
        with self.reconnect_on_error():
            while published is None and len(confirmed) < AT_ONCE and _readable(pubsub):
                message, read = pubsub.get_message(timeout=timeout), True
                if message and message["type"] == "subscribe":
                    confirmed.append(ensure_bytes(message["channel"]))
                elif message and message["type"] == "message":
                    published = message
            self._look_for(confirmed)
            if published:
                meta = self._decode_result(published["data"])
                if self._is_news(ensure_bytes(published["channel"]), meta):
                    self.on_state_change(meta, published)
        return read

    def _look_for(self, keys: list[bytes]) -> None:
        keys = [key for key in keys if self._listens_to(key)]
        for key, value in zip(keys, self.backend.mget(keys) if keys else (), strict=True):
            if value and self._listens_to(key):
                meta = self._decode_result(value)
                self._found[key] = _summary(meta)
                self.on_state_change(meta, None)

    def _is_news(self, key: bytes, meta: dict[str, Any]) -> bool:
        """Whether a published state is still waited for, and not what a look has found just before it was read."""
        return self._listens_to(key) and self._found.pop(key, None) != _summary(meta)

    def _listens_to(self, key: bytes) -> bool:
        return key in self.subscribed_to and key not in self._pending_unsubscribe


def _readable(pubsub: Any) -> bool:
    """Like Celery's: what the parser or TLS has buffered counts too."""
    return bool(pubsub.subscribed and pubsub.connection is not None and pubsub.connection.can_read(timeout=0))


def _summary(meta: dict[str, Any]) -> tuple[str, str]:
    return meta["status"], repr(meta["result"])


class Subscribing:
    """What differs from Celery's result backend of Redis."""

    ResultConsumer = ResultConsumer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._getting: Counter[int] = Counter()  # threads in get(), by the identity of the result object
        self._counting = threading.Lock()
        super().__init__(*args, **kwargs)

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nobody waits for the result of a task that is about to be published."""

    def wait_for_pending(self: Any, result: Any, **kwargs: Any) -> Any:
        """Celery's, after which nothing stays subscribed: also a get() that timed out is over."""
        with self._counting:
            self._getting[id(result)] += 1
        try:
            return super().wait_for_pending(result, **kwargs)  # type: ignore[misc]
        finally:
            with self._counting:
                self._getting[id(result)] -= 1
                last = not self._getting[id(result)]
                if last:
                    del self._getting[id(result)]
            if last and not result.on_ready.ready and not any(result.on_ready.listeners):
                with self.result_consumer._locked():  # noqa: SLF001 -- or another get() of this id begins in between
                    self.remove_pending_result(result)
