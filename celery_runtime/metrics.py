"""What this worker or Beat counts, for Prometheus at `/metrics`.

The numbers are plain Python: a labelled counter of prometheus_client costs 4.7 µs a call (measured), a tenth of a small
task for all of them together, and one here 0.2 µs. Its exposition format is used as it is. Everything is counted in the
main process, which sees each task come and go, so that no files have to be shared with pool children.

A label never holds a host, a process, a task's id or the text of an error: series that nobody asks for again.
"""

from __future__ import annotations

import platform
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from itertools import accumulate
from typing import Any

# What other modules count with `count(name)`: help and labels.
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "reconnects": ("Connections to the broker that were lost and made again.", ()),
    "lease_renewals": ("Renewals of the lease on the messages that this worker holds.", ()),
    "lease_lost": ("Messages whose lease ended while this worker held them; another worker may run them.", ()),
    "dead_letters": ("Messages parked as dead letters.", ("queue", "reason")),
    "beat_sent": ("Entries of the schedule that were sent.", ()),
}
# What other modules show with `gauge(name, function)`.
GAUGES: dict[str, str] = {
    "slots": "Tasks that this worker can run at once.",
    "slots_busy": "Tasks that run now.",
    "oldest_task_seconds": "Age of the task that has run for longest, 0 without one.",
    "last_tick_timestamp_seconds": "When the main loop gave its last sign of life.",
    "beat_last_tick_timestamp_seconds": "When Beat last went through its schedule.",
    "beat_lateness_seconds": "How late the entry that Beat sent last was.",
    "beat_entries": "Entries of the schedule.",
}
STATES = ("starting", "ready", "reconnecting", "draining")
OUTCOMES = ("succeeded", "failed", "retried", "rejected", "revoked", "ignored", "cancelled")
# Seconds. Times of one queue span a lot: a no-op runs for 1 ms, and behind a backlog it waits for an hour.
BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class Times:
    """A histogram of seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Tally:
    """What happened to the deliveries of one task from one queue.

    Each delivery has one outcome at most. Rejected ones went back to the queue or to the dead letters, cancelled ones
    were stopped because their connection was lost.
    """

    __slots__ = ("lock", "outcomes", "received", "redelivered", "run", "started", "wait")

    def __init__(self) -> None:
        self.received = self.redelivered = self.started = 0
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.run, self.wait = Times(), Times()
        self.lock = threading.Lock()  # the threads pool ends its tasks in their threads

    def plus(self, other: Tally) -> Tally:
        """A new one with the sums of both."""
        both = Tally()
        with self.lock:
            for name in ("received", "redelivered", "started"):
                setattr(both, name, getattr(self, name) + getattr(other, name))
            both.outcomes = {name: number + other.outcomes[name] for name, number in self.outcomes.items()}
            for name in ("run", "wait"):
                mine, others, times = getattr(self, name), getattr(other, name), getattr(both, name)
                times.counts = [a + b for a, b in zip(mine.counts, others.counts, strict=True)]
                times.total = mine.total + others.total
        return both


_lock = threading.Lock()
_counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
_gauges: dict[str, Callable[[], float]] = {}
_tallies: dict[tuple[str, str], Tally] = {}
_pulses: list[Any] = []
_sources: list[Callable[[], Iterable[tuple[tuple[str, str], Tally]]]] = []


def count(name: str, amount: int = 1, **labels: str) -> None:
    """Add to counter `name` of COUNTERS, with exactly its labels; call it in the main process. Costs 0.5 µs.

    Raises KeyError for a name or a label that COUNTERS does not have.
    """
    key = name, tuple([labels[label] for label in COUNTERS[name][1]])
    with _lock:
        _counts[key] += amount


def gauge(name: str, function: Callable[[], float]) -> None:
    """Let `function` give the value of gauge `name` of GAUGES, from the health server's thread, at each scrape.

    Raises KeyError for a name that GAUGES does not have.
    """
    _gauges[GAUGES[name] and name] = function


def tally(task: str, queue: str) -> Tally:
    """The numbers of `task` from `queue`; always the same object for the same names."""
    found = _tallies.get((task, queue))
    if found is None:
        with _lock:
            found = _tallies.setdefault((task, queue), Tally())
    return found


def add_source(source: Callable[[], Iterable[tuple[tuple[str, str], Tally]]]) -> None:
    """Add what `source` yields for a (task, queue) to that of `tally`, at each scrape, in the server's thread."""
    _sources.append(source)


def watch(pulse: Any) -> None:
    """Show the state and the last tick of `pulse` (celery_runtime.health)."""
    _pulses[:] = [pulse]
    gauge("last_tick_timestamp_seconds", lambda: time.time() - pulse.age)


def exposition() -> tuple[bytes, str]:
    """All numbers in Prometheus' text format, and its content type."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield from _of_tasks()
        with _lock:
            counts = dict(_counts)
        for name, (text, labels) in COUNTERS.items():
            family = CounterMetricFamily(f"celery_{name}", text, labels=labels)
            found = {values: number for (key, values), number in counts.items() if key == name}
            for values, number in (found or ({(): 0} if not labels else {})).items():
                family.add_metric(values, number)
            yield family
        for name, function in dict(_gauges).items():
            with suppress(Exception):  # of a pool that is going away; the rest is worth a scrape
                yield GaugeMetricFamily(f"celery_{name}", GAUGES[name], value=function())
        state = GaugeMetricFamily("celery_state", "1 for the state that the process is in.", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(any(pulse.state == name for pulse in _pulses)))
        yield state
        yield _build()


def _of_tasks() -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    names = ["task", "queue"]
    received = CounterMetricFamily("celery_tasks_received", "Deliveries from the broker.", labels=names)
    redelivered = CounterMetricFamily("celery_tasks_redelivered", "Deliveries that were not the first.", labels=names)
    started = CounterMetricFamily("celery_tasks_started", "Deliveries that a pool slot took.", labels=names)
    ended = CounterMetricFamily("celery_tasks_ended", "Deliveries that ended, and how.", labels=[*names, "outcome"])
    run = HistogramMetricFamily("celery_task_run_seconds", "Time from start to end.", labels=names)
    wait = HistogramMetricFamily("celery_task_wait_seconds", "Time from publish or ETA to start.", labels=names)
    for labels, numbers in _all_tallies().items():
        received.add_metric(labels, numbers.received)
        redelivered.add_metric(labels, numbers.redelivered)
        started.add_metric(labels, numbers.started)
        for outcome, number in numbers.outcomes.items():
            ended.add_metric([*labels, outcome], number)
        for family, times in ((run, numbers.run), (wait, numbers.wait)):
            with numbers.lock:
                counts, total = list(times.counts), times.total
            bounds = [*map(str, BOUNDS), "+Inf"]
            family.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), sum_value=total)
    yield from (received, redelivered, started, ended, run, wait)


def _all_tallies() -> dict[tuple[str, str], Tally]:
    with _lock:
        tallies = dict(_tallies)
    for source in _sources:
        for labels, numbers in source():
            tallies[labels] = tallies[labels].plus(numbers) if labels in tallies else numbers
    return tallies


def _build() -> Any:
    from prometheus_client.core import InfoMetricFamily

    versions = {name.replace("-", "_"): version(name) for name in ("celery-runtime", "celery", "kombu")}
    return InfoMetricFamily(
        "celery_build", "What this process is made of.", value=versions | {"python": platform.python_version()}
    )
