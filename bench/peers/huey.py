"""huey: processes that pop a task before it runs, so that a killed worker has lost it; results on Redis."""

from __future__ import annotations

import os

from huey import RedisHuey  # type: ignore[import-not-found]

queue = RedisHuey("bench", url=os.environ["BENCH_REDIS_URL"])


@queue.task()  # type: ignore[untyped-decorator]
def noop() -> str:
    """Nothing but an answer, for without one it stores no result."""
    return "done"


def enqueue(count: int) -> None:
    """Publish `count` tasks over one connection, one by one."""
    for _ in range(count):
        noop()
