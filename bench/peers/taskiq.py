"""taskiq: processes with coroutines that pop a task before it runs; results on Redis."""

from __future__ import annotations

import asyncio
import os

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend  # type: ignore[import-not-found]

URL = os.environ["BENCH_REDIS_URL"]
broker = ListQueueBroker(URL).with_result_backend(RedisAsyncResultBackend(URL))


@broker.task  # type: ignore[untyped-decorator]
async def noop() -> None:
    """Nothing: what is left is what taskiq costs."""


def enqueue(count: int) -> None:
    """Publish `count` tasks over one connection, one by one."""
    asyncio.run(_enqueue(count))


async def _enqueue(count: int) -> None:
    await broker.startup()
    for _ in range(count):
        await noop.kiq()
    await broker.shutdown()
