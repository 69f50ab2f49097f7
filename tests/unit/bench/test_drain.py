from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.scenarios.drain import watch
from bench.servers import BenchError


class Worker:
    """Ends `step` tasks whenever somebody looks, at 2 ms of CPU each."""

    alive = True

    def __init__(self, step):
        self.step, self.ended = step, 0

    @property
    def cpu(self):
        return self.ended * 0.002

    def done(self):
        self.ended += self.step
        return self.ended


def test_the_first_and_the_last_tasks_are_not_measured():
    worker = Worker(10)
    looks = []
    figures = watch(worker, lambda: looks.append(worker.done()) or looks[-1], 1000)

    assert figures["cpu_ms"] == pytest.approx(2.0)
    assert figures["rate"] > 0
    assert 900 <= looks[-1] <= 920


def test_tasks_that_are_over_at_once_are_told_to_be_too_few():
    with pytest.raises(BenchError, match="TASKS="):
        watch(SimpleNamespace(alive=True, cpu=1.0), lambda: 100, 100)


def test_a_worker_that_ends_is_told():
    with pytest.raises(BenchError, match="the worker ended before 10 results"):
        watch(SimpleNamespace(alive=False, cpu=1.0), lambda: 0, 100)
