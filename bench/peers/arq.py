"""arq: one process with coroutines; it asks for what waits twice a second."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from arq import create_pool  # type: ignore[import-not-found]
from arq.connections import RedisSettings  # type: ignore[import-not-found]

REDIS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


async def noop(context: dict[Any, Any]) -> None:
    """Nothing: what is left is what arq costs."""


class Worker:
    """What `arq bench.peers.arq.Worker` runs."""

    functions = (noop,)
    redis_settings = REDIS


def enqueue(count: int) -> None:
    """Publish `count` tasks over one connection, one by one."""
    asyncio.run(_enqueue(count))


async def _enqueue(count: int) -> None:
    pool = await create_pool(REDIS)
    for _ in range(count):
        await pool.enqueue_job("noop")
    await pool.aclose()
