"""Queues on Redis, in one trip for all of them: celery_runtime/redis_transport/keys.py has their keys."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from celery import Celery
from redis import Redis

from celery_runtime.collector import Numbers, QueueNumbers
from celery_runtime.consumers import presence
from celery_runtime.redis_transport import keys
from celery_runtime.redis_transport.steps import Steps
from celery_runtime.task_metrics import PUBLISHED


class RedisBroker:
    """Asks over one connection, made again after an error."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.connection: Any = None
        self._first_seen: dict[str, tuple[bytes, float]] = {}  # the message at the head of a list, and since when

    def look(self, queues: list[str]) -> Numbers:
        """Raises RedisError and what kombu raises when Redis does not answer."""
        try:
            self.connection = self.connection or self.app.connection_for_read()
            return Numbers(dict(self._look(self.connection.default_channel, queues)))
        except Exception:
            if self.connection is not None:
                self.connection.collect()
            self.connection = None
            raise

    def _look(self, channel: Any, queues: list[str]) -> Iterator[tuple[str, QueueNumbers]]:
        steps = Steps(channel)
        client = Redis(connection_pool=channel.pool)  # not the channel's own, which puts the prefix before some keys
        with client.pipeline(transaction=False) as pipeline:
            pipeline.pubsub_numsub(*(presence(channel, queue) for queue in queues))
            for queue in queues:
                lists = [steps.claiming(queue), *steps.lists(queue)]
                for key in lists:
                    pipeline.llen(key)
                for key in lists:
                    pipeline.lindex(key, -1)
                pipeline.hlen(steps.holding(queue)[1])
                pipeline.llen(channel.global_keyprefix + keys.dead(queue))
            answers = iter(pipeline.execute())
        consumers, now = next(answers), time.time()
        for place, queue in enumerate(queues):
            lists = [steps.claiming(queue), *steps.lists(queue)]
            lengths = [int(next(answers)) for _ in lists]
            oldest = [self._age(key, next(answers), now) for key in lists]
            priorities = dict(zip(map(str, channel.priority_steps), lengths[1:], strict=True))
            yield (
                queue,
                QueueNumbers(
                    ready=sum(lengths),
                    in_flight=int(next(answers)),
                    consumers=int(consumers[place][1]),
                    dead_letters=int(next(answers)),
                    oldest=max(oldest),
                    by_priority=priorities,
                ),
            )

    def _age(self, key: str, message: bytes | None, now: float) -> float:
        """Seconds that the message at the head of a list has waited, since it was seen first if it does not say."""
        if message is None:
            self._first_seen.pop(key, None)
            return 0.0
        due = due_of(message)
        if due is None:
            seen, since = self._first_seen.get(key, (b"", 0.0))
            due = since if seen == message else now
            self._first_seen[key] = message, due
        return max(now - due, 0.0)


def due_of(message: bytes) -> float | None:
    """Unix time from which a message waits, None if it does not say: then no runtime published it."""
    try:
        headers = json.loads(message)["headers"]
        published, eta = headers.get(PUBLISHED), headers.get("eta")
        if not isinstance(published, int | float):
            return None
        return max(float(published), datetime.fromisoformat(eta).timestamp()) if eta else float(published)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):  # anybody may push
        return None
