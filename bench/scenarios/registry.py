"""Which scenario measures which variants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.scenarios import drain, enqueue, growth, memory, monitoring, stop, waits
from bench.servers import Servers
from bench.variants import (
    DIRECT,
    DIRECT_EVENTS,
    DIRECT_PLAIN,
    DIRECT_TRACED,
    FAST_PEERS,
    PEERS,
    PREFORK,
    PREFORK_EVENTS,
    PREFORK_PLAIN,
    PREFORK_TRACED,
    STOCK,
    STOCK_MONITORED,
    STOCK_SAFE,
    THREADS,
    Variant,
)

Measure = Callable[[Variant, Servers, int], dict[str, float]]
TRIO = (STOCK, PREFORK, DIRECT)


@dataclass(frozen=True)
class Scenario:
    """What is measured of whom, by turns.

    quick: those of the quick run. rounds: no more than these, of what is the same every time. slow: only if asked for.
    """

    name: str
    measure: Measure
    variants: tuple[Variant, ...]
    quick: tuple[Variant, ...] = ()
    rounds: int = 1000
    slow: bool = False


# What is held against each other stands next to each other.
DRAIN = (STOCK, PREFORK, DIRECT, *PEERS, THREADS, STOCK_SAFE)
MONITORED = (STOCK_MONITORED, PREFORK_EVENTS, DIRECT_EVENTS, PREFORK_PLAIN, DIRECT_PLAIN)
QUICK_DRAIN = (*TRIO, *FAST_PEERS, STOCK_MONITORED, DIRECT_EVENTS)
ENQUEUE = (STOCK, PREFORK, STOCK_SAFE, STOCK_MONITORED, *PEERS)
LATENCY = (*TRIO, STOCK_SAFE, STOCK_MONITORED)

SCENARIOS = (
    Scenario("drain", drain.measure, (*DRAIN, *MONITORED), quick=QUICK_DRAIN),
    Scenario("enqueue", enqueue.measure, ENQUEUE, quick=(STOCK, PREFORK, *FAST_PEERS)),
    Scenario("latency", waits.measure_rates, LATENCY, quick=TRIO),
    Scenario("mixed", waits.measure_mixed, (STOCK_SAFE, PREFORK, DIRECT)),
    Scenario("memory", memory.measure, TRIO, rounds=2),
    Scenario("stop", stop.measure, TRIO),
    Scenario(
        "monitoring",
        monitoring.measure,
        (DIRECT, DIRECT_PLAIN, DIRECT_TRACED, PREFORK, PREFORK_PLAIN, PREFORK_TRACED),
        slow=True,
    ),
    Scenario("growth-queued", growth.measure_queued, TRIO, slow=True),
    Scenario("growth-workers", growth.measure_workers, TRIO, slow=True),
    Scenario("growth-queues", growth.measure_queues, TRIO[:2], slow=True),
    Scenario("growth-payloads", growth.measure_payloads, TRIO, slow=True),
)
