"""Stopping a worker under load: what runs ends, what waits stays, nothing runs twice."""

from __future__ import annotations

import signal
import time

import pytest

from tests.integration.conftest import on_each_pool

TASK = 0.1  # seconds
COUNT = 80  # four seconds of two slots: a stop comes in their midst, however busy the machine
STOP = 15.0  # seconds on a busy machine; half of stock Celery's stops take 31.6 s. tests/chaos measures how quick it is


@pytest.fixture
def email_worker(service):
    """The worker of a queue that nothing else uses; a normal one is back afterwards."""
    service.stop("worker-email")

    def start(**variables):
        service.start_worker("email", **variables)
        service.wait(lambda: service.health("worker-email", "ready"), "the worker to be ready")

    yield start
    if "worker-email" in service.processes:
        service.stop("worker-email")
    service.start_worker("email")


def stop_under_load(service, batch, signals):
    ended = service.ledger(batch)["ended"]
    service.wait(lambda: service.ledger(batch)["ended"] >= ended + 4, "tasks to run")
    process = service.processes.pop("worker-email")
    began = time.monotonic()
    for number in signals:
        process.send_signal(number)
    assert process.wait(60) == 0
    return time.monotonic() - began


@on_each_pool
@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]], ids=["one", "many"]
)
def test_a_stop_under_load_is_quick_and_repeats_nothing(service, email_worker, tmp_path, pool, signals):
    queues = tmp_path / "queues.toml"
    queues.write_text(f"[queues.email]\npool = '{pool}'\nconcurrency = {1 if pool == 'solo' else 2}\n")
    email_worker(QUEUES_FILE=queues)
    batch = service.fault("sleep", count=COUNT, seconds=TASK, queue="email")["batch"]

    took = stop_under_load(service, batch, signals)
    stopped = service.ledger(batch)

    assert took < STOP
    assert stopped["started"] == stopped["ended"] < COUNT
    email_worker(QUEUES_FILE=queues)
    service.wait(lambda: service.ledger(batch)["ended"] == COUNT, "the rest")
    assert service.ledger(batch)["started"] == COUNT


def test_a_task_that_outlasts_the_drain_goes_back_at_once_and_runs_again(service, email_worker, tmp_path):
    queues = tmp_path / "queues.toml"
    queues.write_text("[queues.email]\ntime_limit = 60\ndrain = 2\nrequeue_on_drain = true\nconcurrency = 1\n")
    email_worker(QUEUES_FILE=queues)
    batch = service.fault("sleep", count=1, seconds=6, queue="email")["batch"]
    service.wait(lambda: service.ledger(batch)["started"] == 1, "the task to start")

    began = time.monotonic()
    process = service.processes.pop("worker-email")
    process.terminate()
    process.wait(30)

    assert time.monotonic() - began < 2 + STOP
    email_worker()
    service.wait(lambda: service.ledger(batch)["ended"] == 1, "the task's second run", 20)
    assert service.ledger(batch) | {"batch": ""} == {
        "batch": "", "accepted": 1, "started": 2, "ended": 1, "lost": 0, "doubled": 0,
    }  # fmt: skip
