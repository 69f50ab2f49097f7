"""rq: a process is forked for each job; results on Redis."""

from __future__ import annotations

import os

from redis import Redis
from rq import Queue  # type: ignore[import-not-found]


def noop() -> None:
    """Nothing: what is left is what rq costs."""


def enqueue(count: int) -> None:
    """Publish `count` tasks over one connection, one by one."""
    with Redis.from_url(os.environ["BENCH_REDIS_URL"]) as redis:
        queue = Queue(connection=redis)
        for _ in range(count):
            queue.enqueue(noop)
