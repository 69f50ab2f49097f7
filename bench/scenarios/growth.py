"""What a task costs as something grows that should not matter: queued tasks, workers, queues, size of the arguments."""

from __future__ import annotations

from bench.scenarios.drain import watch
from bench.servers import Servers
from bench.setup import prepared, wait_until
from bench.variants import Variant
from bench.worker import running

MEASURED = 2000  # tasks at stock's pace, whatever the queue holds
NEARLY = 0.99  # of the tasks have ended: keys other than results come and go
QUEUED = (1_000, 10_000, 100_000, 1_000_000)
WORKERS = (1, 4, 16, 64)
QUEUES = (1, 10, 50, 200)
PAYLOADS = (100, 1_024, 10_240, 65_536)  # bytes


def measure_queued(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Milliseconds of CPU for a task, by how many wait in its queue."""
    return {f"cpu_ms_{queued}": _cost(variant, servers, queued=queued) for queued in QUEUED}


def measure_workers(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Milliseconds of CPU of all workers for a task, by how many they are, each with one child."""
    return {f"cpu_ms_{workers}": _cost_among(variant, servers, workers) for workers in WORKERS}


def measure_queues(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Milliseconds of CPU for a task, by how many queues its worker serves."""
    return {f"cpu_ms_{queues}": _cost(variant, servers, queues=queues) for queues in QUEUES}


def measure_payloads(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Milliseconds of CPU for a task, by the bytes of its argument."""
    return {f"cpu_ms_{size}": _cost(variant, servers, size=size) for size in PAYLOADS}


def _cost(variant: Variant, servers: Servers, queued: int = 0, queues: int = 1, size: int = 0) -> float:
    measured = min(int(MEASURED * max(variant.pace, 1)), queued or 10**9)
    with prepared(variant, servers, queues=queues) as setup:
        setup.fill(max(queued, measured), size=size)
        done = setup.counter()
        with running(setup) as workers:
            return watch(workers, done, measured)["cpu_ms"]


def _cost_among(variant: Variant, servers: Servers, count: int) -> float:
    """Many workers are at it before the last one has started, so they start first and the queue is filled then."""
    measured = int(MEASURED * max(variant.pace, 1))
    enough = int(measured * NEARLY)
    with prepared(variant, servers, concurrency=1) as setup, running(setup, count) as workers:
        setup.run("bench.ready", str(count))
        done, cpu = setup.counter(), workers.cpu
        setup.fill(measured)
        wait_until(lambda: done() >= enough, lambda: workers.alive, f"{enough} results")
        return (workers.cpu - cpu) * 1000 / done()
