"""Histograms of seconds, with the task that was slowest of late as the example behind the number."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from celery_runtime.settings import MOST_BUCKETS

OUTCOMES = ("succeeded", "failed", "retried", "rejected", "revoked", "ignored", "cancelled")
# Seconds. Run times are told apart by task, and each bound is a line for each task of a worker: with these a scrape of
# 40 tasks stays under 60 kB (measured). A queue has one histogram of waiting, from 1 ms to the hour behind a backlog.
RUN_BOUNDS = (0.01, 0.1, 0.5, 2.5, 15.0, 120.0)
WAIT_BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
MOST = MOST_BUCKETS  # bounds that METRICS_BUCKETS may name
EXAMPLE_LASTS = 60.0  # seconds until a faster task may replace the slowest
LONGEST_ID = 120  # characters; OpenMetrics allows 128 for an exemplar's names and values together
_chosen: tuple[float, ...] = ()


def run_bounds() -> tuple[float, ...]:
    """The upper bounds of this process' buckets for run times, in seconds, without infinity."""
    return _chosen or RUN_BOUNDS


def wait_bounds() -> tuple[float, ...]:
    """The same of its buckets for waiting."""
    return _chosen or WAIT_BOUNDS


def use_bounds(chosen: Sequence[float]) -> None:
    """Let all histograms made from now on have these bounds, ascending, at most MOST; none: the default ones."""
    global _chosen  # noqa: PLW0603 -- one choice for the whole process, made before anything is counted
    _chosen = tuple(chosen)


class Times:
    """A histogram of seconds. example: seconds, task id and Unix time of the slowest of late; no id: none yet.

    bounds: of its buckets, without infinity.
    """

    __slots__ = ("bounds", "counts", "example", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.example = (0.0, "", 0.0)

    def add(self, seconds: float, task_id: str = "", at: float = 0.0) -> None:
        """Count `seconds`. at: Unix time, with a `task_id`."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds
        if task_id and (seconds >= self.example[0] or at - self.example[2] > EXAMPLE_LASTS):
            self.example = seconds, task_id, at

    def plus(self, other: Times) -> Times:
        both = Times(self.bounds)
        both.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        both.total = self.total + other.total
        both.example = max(self.example, other.example)
        return both

    def buckets(self) -> list[Any]:
        """What prometheus_client takes: (bound, cumulative count, exemplar or None)."""
        seconds, task_id, at = self.example
        exemplar = _exemplar(task_id, seconds, at) if 0 < len(task_id) <= LONGEST_ID else None
        place = bisect_left(self.bounds, seconds)
        rows = zip([*map(str, self.bounds), "+Inf"], accumulate(self.counts), strict=True)
        return [(bound, count, exemplar if i == place else None) for i, (bound, count) in enumerate(rows)]


def _exemplar(task_id: str, seconds: float, at: float) -> Any:
    from prometheus_client.samples import Exemplar

    return Exemplar({"task_id": task_id}, round(seconds, 6), round(at, 3))


class Tally:
    """What happened to the deliveries of one task from one queue.

    Each delivery has one outcome at most. Rejected ones went back to the queue or to the dead letters, cancelled ones
    were stopped because their connection was lost.
    """

    __slots__ = ("lock", "outcomes", "received", "redelivered", "run", "started", "wait")

    def __init__(self) -> None:
        self.received = self.redelivered = self.started = 0
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.run, self.wait = Times(run_bounds()), Times(wait_bounds())
        self.lock = threading.Lock()  # the threads pool ends its tasks in their threads

    def plus(self, other: Tally) -> Tally:
        """A new one with the sums of both."""
        both = Tally()
        with self.lock:
            for name in ("received", "redelivered", "started"):
                setattr(both, name, getattr(self, name) + getattr(other, name))
            both.outcomes = {name: number + other.outcomes[name] for name, number in self.outcomes.items()}
            both.run, both.wait = self.run.plus(other.run), self.wait.plus(other.wait)
        return both

    def histograms(self) -> Iterator[tuple[str, list[Any], float]]:
        """Name, buckets and sum of `run` and `wait`, read in one moment."""
        with self.lock:
            yield from [
                (name, times.buckets(), times.total) for name, times in (("run", self.run), ("wait", self.wait))
            ]
