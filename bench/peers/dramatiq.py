"""dramatiq: processes with threads; late acknowledgement and results on Redis."""

from __future__ import annotations

import os

import dramatiq  # type: ignore[import-not-found]
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]
from dramatiq.results import Results  # type: ignore[import-not-found]
from dramatiq.results.backends.redis import RedisBackend  # type: ignore[import-not-found]

URL = os.environ["BENCH_REDIS_URL"]
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL), store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor  # type: ignore[untyped-decorator]
def noop() -> str:
    """Nothing but an answer, for without one it stores no result."""
    return "done"


def enqueue(count: int) -> None:
    """Publish `count` tasks over one connection, one by one."""
    for _ in range(count):
        noop.send()
