"""The numbers in Prometheus' formats."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder

from celery_runtime import metrics
from celery_runtime.metrics.names import COUNTERS, GAUGES, OTHER, STATES
from celery_runtime.metrics.times import Tally

TASK = ("task", "queue")
# The first failure must be a rise and not a beginning. What else never happened to a task has no series of it: those of
# tasks are most of a scrape.
FROM_ZERO = ("succeeded", "failed")
PUBLISHING = ("published", "publish_errors")


def text(accept: str) -> tuple[bytes, str]:
    """Everything, in the best format that `accept`, a header of HTTP, names; and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Everything())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class Publishing:
    """What this process published, for a registry of prometheus_client: a web process has one of its own."""

    def collect(self) -> Iterator[Any]:
        yield from _counters(PUBLISHING)
        seconds = HistogramMetricFamily(
            "celery_publish_seconds", "Time until the broker confirmed a message, or a batch of them.", labels=[]
        )
        seconds.add_metric([], metrics.publishing.buckets(), sum_value=metrics.publishing.total)
        yield seconds


class Everything(Publishing):
    def collect(self) -> Iterator[Any]:
        yield from _of_tasks()
        yield from super().collect()
        yield from _counters(name for name in COUNTERS if name not in PUBLISHING)
        for name in list(metrics._gauges):  # noqa: SLF001
            with suppress(Exception):  # of a pool that is going away; the rest is worth a scrape
                yield _gauge(name)
        state = GaugeMetricFamily("celery_state", "1 for the state that the process is in.", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(any(pulse.state == name for pulse in metrics._pulses)))  # noqa: SLF001
        yield state
        yield _build()


def _of_tasks() -> Iterator[Any]:
    tallies = metrics.all_tallies()
    yield from _deliveries(tallies)
    run = HistogramMetricFamily("celery_task_run_seconds", "Time from start to end.", labels=TASK)
    for labels, numbers in tallies.items():
        run.add_metric(labels, numbers.run.buckets(), sum_value=round(numbers.run.total, 6))
    yield run
    wait = HistogramMetricFamily("celery_task_wait_seconds", "Time from publish or ETA to start.", labels=["queue"])
    for queue, times in metrics.waits(tallies).items():
        wait.add_metric([queue], times.buckets(), sum_value=times.total)
    yield wait


def _deliveries(tallies: Mapping[tuple[str, str], Tally]) -> Iterator[Any]:
    received = CounterMetricFamily("celery_tasks_received", "Deliveries from the broker.", labels=TASK)
    redelivered = CounterMetricFamily("celery_tasks_redelivered", "Deliveries that were not the first.", labels=TASK)
    started = CounterMetricFamily("celery_tasks_started", "Deliveries that a pool slot took.", labels=TASK)
    ended = CounterMetricFamily("celery_tasks_ended", "Deliveries that ended, and how.", labels=[*TASK, "outcome"])
    for labels, numbers in tallies.items():
        received.add_metric(labels, numbers.received)
        started.add_metric(labels, numbers.started)
        for outcome, number in numbers.outcomes.items():
            if number or outcome in FROM_ZERO:
                ended.add_metric([*labels, outcome], number)
    again = {labels: numbers.redelivered for labels, numbers in tallies.items() if numbers.redelivered}
    for labels, number in ({(OTHER, queue): 0 for _, queue in tallies} | again).items():
        redelivered.add_metric(labels, number)
    yield from (received, redelivered, started, ended)


def _counters(names: Iterable[str]) -> Iterator[Any]:
    counts = metrics.counts()
    for name in names:
        help_text, labels = COUNTERS[name]
        family = CounterMetricFamily(f"celery_{name}", help_text, labels=labels)
        found = {values: number for (key, values), number in counts.items() if key == name}
        for values, number in (found or ({(): 0} if not labels else {})).items():
            family.add_metric(values, number)
        yield family


def _gauge(name: str) -> Any:
    help_text, labels = GAUGES[name]
    family = GaugeMetricFamily(f"celery_{name}", help_text, labels=labels)
    value = metrics._gauges[name]()  # noqa: SLF001
    for values, number in (value if labels else {(): value}).items():
        family.add_metric(values, number)
    return family


def _build() -> Any:
    versions = {name.replace("-", "_"): version(name) for name in ("celery-runtime", "celery", "kombu")}
    return InfoMetricFamily(
        "celery_build", "What this process is made of.", value=versions | {"python": platform.python_version()}
    )
