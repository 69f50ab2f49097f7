"""Publishing does not need the result store.

Celery subscribes to the result of every task before it publishes it. With Redis away that takes 20 s and then fails,
with a demand to restart the app, though the broker is RabbitMQ and well. Here it is tried once, and not again for a
while; whoever waits for such a result subscribes when he begins to wait, and looks whether it is there.

Read in Celery 5.7.0: celery/backends/redis.py (ResultConsumer, on_task_call, ensure), celery/backends/asynchronous.py.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from celery.backends.redis import ResultConsumer as CeleryResultConsumer
from celery.utils.log import get_logger

PAUSE = 5.0  # seconds between two tries
log = get_logger(__name__)


class ResultConsumer(CeleryResultConsumer):  # type: ignore[misc]
    """Celery's, which forgets after a failed reconnection what else was waited for."""

    def start(self, initial_task_id: str, **kwargs: Any) -> None:
        if not self.subscribed_to:
            super().start(initial_task_id, **kwargs)
            return
        with self._locked():
            self._reconnect_pubsub()
            self._consume_from(initial_task_id)


class Subscribing:
    """What differs from Celery's result backend of Redis."""

    ResultConsumer = ResultConsumer
    _away_until = 0.0  # monotonic seconds
    _once = threading.local()

    def on_task_call(self: Any, producer: Any, task_id: str) -> None:
        """Subscribe to the result of a task that is about to be published, if Redis is there."""
        if time.monotonic() < self._away_until:
            return
        self._once.tried = True
        try:
            super().on_task_call(producer, task_id)  # type: ignore[misc]
        except (RuntimeError, *self.connection_errors) as error:
            self._away_until = time.monotonic() + PAUSE
            self.result_consumer.subscribed_to.discard(self.get_key_for_task(task_id))
            log.warning("results: Redis is away, tasks are published all the same: %s", error.__cause__ or error)
        finally:
            self._once.tried = False

    def ensure(self: Any, fun: Any, args: Any, **policy: Any) -> Any:
        if getattr(self._once, "tried", False):
            policy["max_retries"] = 0
        return super().ensure(fun, args, **policy)  # type: ignore[misc]
