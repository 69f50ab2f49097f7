"""How long a task waits between its publishing and its start, by percentiles."""

from __future__ import annotations

import json
from typing import Any

from bench.schedule import schedule
from bench.servers import Servers
from bench.setup import Setup, prepared, wait_until
from bench.spread import percentile
from bench.variants import Variant
from bench.worker import Workers, running

RATES = (100, 400)  # tasks a second
SECONDS = 2.5  # of publishing at each rate
EARLY = 0.1  # of the tasks, the first: not counted
PERCENTILES = (50, 95, 99)
# Short tasks among long ones: four slots, two of them busy with long ones on average.
MIXED_SECONDS, MIXED_SLOTS = 5.0, 4
SHORT, LONG = (40, 0.01), (2, 1.0)  # tasks a second, seconds


def measure_rates(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Milliseconds from publishing to start, for tasks that do nothing, at each rate."""
    found: dict[str, float] = {}
    with prepared(variant, servers) as setup, running(setup) as workers:
        workers.settle()
        for rate in RATES:
            waits = _waits(setup, workers, SECONDS, (rate, 0))
            found |= {f"p{percent}_{rate}": percentile(waits, percent) for percent in PERCENTILES}
    return found


def measure_mixed(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Milliseconds from publishing to start of short tasks, while long ones hold half of the slots."""
    with prepared(variant, servers, concurrency=MIXED_SLOTS) as setup, running(setup) as workers:
        workers.settle()
        waits = _waits(setup, workers, MIXED_SECONDS, SHORT, LONG)
        return {f"p{percent}": percentile(waits, percent) for percent in PERCENTILES}


def _waits(setup: Setup, workers: Workers, seconds: float, *streams: tuple[float, float]) -> list[float]:
    """Of the first stream, in milliseconds."""
    expected = len(schedule(seconds, list(streams))) + 1
    setup.run("bench.pace", str(seconds), *(f"{rate}:{length}" for rate, length in streams))
    wait_until(lambda: len(_keys(setup, expected)) >= expected, lambda: workers.alive, f"{expected} results")
    results = _results(setup)
    counted = sorted(sent for length, sent, _ in results if length == streams[0][1] and sent)
    first = counted[int(len(counted) * EARLY)]
    return [(began - sent) * 1000 for length, sent, began in results if length == streams[0][1] and sent >= first]


def _keys(setup: Setup, at_least: int = 0) -> list[bytes]:
    """Those of the results; looked up one by one only when there may be enough."""
    if int(setup.redis.dbsize()) < at_least:
        return []
    return list(setup.redis.scan_iter("celery-task-meta-*", count=1000))


def _results(setup: Setup) -> list[list[float]]:
    """What the naps returned; their keys are gone afterwards."""
    keys = _keys(setup)
    values: Any = setup.redis.mget(keys)
    setup.redis.delete(*keys)
    return [json.loads(value)["result"] for value in values]
