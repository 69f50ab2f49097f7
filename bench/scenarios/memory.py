"""How soon a worker runs its first task, and how much memory it takes before and after work."""

from __future__ import annotations

import time

from bench.servers import Servers
from bench.setup import Setup, prepared, wait_until
from bench.variants import Variant
from bench.worker import running

CHILDREN = (2, 8)
LOAD = 2000  # tasks
NEARLY = 0.99  # keys other than results come and go


def measure(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Seconds to the first result, and MB of PSS idle and after load, for each number of children."""
    found: dict[str, float] = {}
    for children in CHILDREN:
        with prepared(variant, servers, concurrency=children) as setup:
            found |= {f"{name}_{children}": value for name, value in _life(setup).items()}
    return found


def _life(setup: Setup) -> dict[str, float]:
    setup.run("bench.enqueue", "delay", "1")
    start = time.perf_counter()
    with running(setup) as workers:
        wait_until(lambda: _has_result(setup), lambda: workers.alive, "a result")
        startup = time.perf_counter() - start
        workers.settle()
        idle, done = workers.pss, setup.counter()
        setup.run("bench.enqueue", "delay", str(LOAD))
        wait_until(lambda: done() >= LOAD * NEARLY, lambda: workers.alive, f"{LOAD} results")
        workers.settle()
        return {"startup": startup, "idle": idle, "loaded": workers.pss}


def _has_result(setup: Setup) -> bool:
    return next(setup.redis.scan_iter("celery-task-meta-*", count=100), None) is not None
