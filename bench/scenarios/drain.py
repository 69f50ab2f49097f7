"""How fast a worker empties a queue that was filled before, and how much CPU each task costs it."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.servers import BenchError, Servers
from bench.setup import prepared, wait_until
from bench.variants import Variant
from bench.worker import Workers, running

SKIPPED = 0.1  # of the tasks at both ends: the worker starts, and its last children wait


def measure(variant: Variant, servers: Servers, tasks: int) -> dict[str, float]:
    """Tasks a second, and milliseconds of the worker's CPU for each."""
    queued = max(int(tasks * variant.pace), 100)
    with prepared(variant, servers) as setup:
        setup.fill(queued)
        done = setup.counter()
        with running(setup) as workers:
            return watch(workers, done, queued)


def watch(workers: Workers, done: Callable[[], int], tasks: int) -> dict[str, float]:
    """Measure between the first and the last tenth of `tasks`. Raises BenchError."""
    low, high = int(tasks * SKIPPED), int(tasks * (1 - SKIPPED))
    count, cpu, at = _until(workers, done, low)
    end_count, end_cpu, end_at = _until(workers, done, high)
    ended = end_count - count
    if not ended:
        raise BenchError(f"{tasks} tasks are over too soon to be measured. Give it more: TASKS=")
    return {"rate": ended / (end_at - at), "cpu_ms": (end_cpu - cpu) * 1000 / ended}


def _until(workers: Workers, done: Callable[[], int], tasks: int) -> tuple[int, float, float]:
    wait_until(lambda: done() >= tasks, lambda: workers.alive, f"{tasks} results")
    return done(), workers.cpu, time.perf_counter()
