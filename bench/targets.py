"""What must be reached: ratios within one run on one machine, and a few figures as such.

Not measured here: the first task after scale from zero (15 s), `make up` (20 s, 8 min) and the image (220 MB).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["at least", "at most", "never above"]  # the last: the worst run counts
LEAST: Kind = "at least"
MOST: Kind = "at most"
NEVER: Kind = "never above"


@dataclass(frozen=True)
class Target:
    """`metric` of `variant`, divided by `base_metric` of `against` unless that is empty, must be `kind` `bound`."""

    what: str
    broker: str
    scenario: str
    variant: str
    metric: str
    against: str
    base_metric: str
    kind: Kind
    bound: float


COLUMNS = (("direct", "redis"), ("direct", "rabbitmq"), ("prefork", "redis"), ("prefork", "rabbitmq"))
# what, scenario, variant, metric, against, kind, bounds in the order of COLUMNS
ROWS: tuple[tuple[str, str, str, str, str, Kind, tuple[float, ...]], ...] = (
    ("drain, safe and monitored", "drain", "{}", "rate", "stock", LEAST, (5.0, 2.8, 1.7, 1.15)),
    ("drain, with events too", "drain", "{}-events", "rate", "stock-monitored", LEAST, (6.0, 3.0, 2.2, 1.3)),
    ("drain, with and without metrics", "drain", "{}", "rate", "{}-plain", LEAST, (0.95,) * 4),
    ("drain, with and without metrics and events", "drain", "{}-events", "rate", "{}-plain", LEAST, (0.95,) * 4),
    ("drain, metrics, collector and exporter on and off", "monitoring", "{}", "rate", "{}-plain", LEAST, (0.95,) * 4),
    ("ms of CPU for a task", "drain", "{}", "cpu_ms", "", MOST, (0.25, 0.3, 0.8, 0.8)),
    ("publish to start at 400/s, p99", "latency", "{}", "p99_400", "stock", MOST, (0.5, 0.8, 1.0, 1.0)),
    ("short among long tasks, p50", "mixed", "{}", "p50", "stock-safe", MOST, (1.05,) * 4),
    ("short among long tasks, p99", "mixed", "{}", "p99", "stock-safe", MOST, (1.05,) * 4),
    ("idle memory, 2 children", "memory", "{}", "idle_2", "stock", MOST, (0.9, 0.9, 1.0, 1.0)),
    ("idle memory, 8 children", "memory", "{}", "idle_8", "stock", MOST, (0.7, 0.7, 1.0, 1.0)),
    ("seconds from SIGTERM to the end", "stop", "{}", "seconds", "", NEVER, (1.0, 1.0, 4.0, 4.0)),
)
PEERS = (("taskiq", 1.2), ("huey", 0.9), ("dramatiq", 1.2))
PUBLISHING = (("redis", 1.5, 3.0), ("rabbitmq", 1.2, 2.0))  # delay() and batch, both against stock's delay()


def _targets() -> list[Target]:
    found = []
    for column, (pool, broker) in enumerate(COLUMNS):
        for what, scenario, variant, metric, against, kind, bounds in ROWS:
            ours, theirs = variant.format(pool), against.format(pool)
            found.append(Target(what, broker, scenario, ours, metric, theirs, metric, kind, bounds[column]))
    for peer, bound in PEERS:
        found.append(Target("drain, with results", "redis", "drain", "direct", "rate", peer, "rate", LEAST, bound))
    for broker, one, batch in PUBLISHING:
        for what, metric, bound in (("delay()", "delay", one), ("batch publish", "batch", batch)):
            found.append(Target(what, broker, "enqueue", "prefork", metric, "stock", "delay", LEAST, bound))
    return found


TARGETS = tuple(_targets())
