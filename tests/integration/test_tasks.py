"""What a client, an operator and the ledger see of tasks, on both brokers."""

from __future__ import annotations

import sys

import pytest

from tests.integration.conftest import PASSWORD, rabbitmq_is_slow
from tests.integration.patterns.commands import celery_runtime


@rabbitmq_is_slow
def test_two_thousand_tasks_are_neither_lost_nor_doubled(service):
    accepted = service.fault("count", count=2000)
    assert accepted["accepted"] == 2000

    service.wait(lambda: service.ledger(accepted["batch"])["ended"] >= 2000, "2000 tasks to end", 240)

    ledger = service.ledger(accepted["batch"])
    assert (ledger["accepted"], ledger["started"], ledger["ended"]) == (2000, 2000, 2000)
    assert (ledger["lost"], ledger["doubled"]) == (0, 0)


@pytest.mark.parametrize("queue", ["default", "media", "ai", "email"])
def test_a_task_runs_in_the_queue_that_its_caller_names(service, queue):
    service.stop(f"worker-{queue}")
    batch = service.fault("count", count=5, queue=queue)["batch"]
    other = service.fault("count", count=5, queue="default" if queue != "default" else "email")["batch"]
    service.wait(lambda: service.ledger(other)["ended"] == 5, "the other queue's tasks")

    assert service.ledger(batch)["started"] == 0

    service.start_worker(queue)
    service.wait(lambda: service.ledger(batch)["ended"] == 5, f"the tasks of {queue}")


def test_a_failing_task_ends_once_and_stops_no_other(service):
    failing = service.fault("fail", count=20)["batch"]
    counting = service.fault("count", count=20)["batch"]

    service.wait(lambda: service.ledger(failing)["ended"] == 20, "the failing tasks")
    service.wait(lambda: service.ledger(counting)["ended"] == 20, "the others")

    assert service.ledger(failing) | {"batch": ""} == service.ledger(counting) | {"batch": ""}


def test_a_task_that_kills_its_process_is_given_up_and_stops_no_other(service):
    crash = service.fault("crash", count=1)["batch"]
    counting = service.fault("count", count=50)["batch"]
    service.wait(lambda: service.ledger(counting)["ended"] == 50, "the others")

    assert service.ledger(counting)["lost"] == 0
    listed = "dead-letters list --queue default"
    service.wait(lambda: "poison" in celery_runtime(service, listed)[0].out, "the task to be given up")
    (purged,) = celery_runtime(service, "dead-letters purge --queue default --yes")
    assert purged.code == 0, purged.err
    assert service.ledger(crash)["ended"] == 0
    assert service.health("worker-default", "live")


def test_a_stopped_worker_leaves_with_code_0_and_without_its_children(service):
    service.start_worker("default", name="second", NODE_NAME="default-2")
    service.wait(lambda: service.health("second", "ready"), "the second worker")

    assert service.stop("second") == 0


@rabbitmq_is_slow
def test_no_worker_shows_a_password_to_who_inspects_it(service):
    shown = service.run("inspect", [sys.executable, "-m", "celery", "-A", "app.celery", "inspect", "conf"])

    assert "task_acks_late" in shown
    assert f":{PASSWORD}@" not in shown


def test_a_task_for_a_queue_that_nobody_serves_is_refused(service):
    answer = service.api.post("/faults/count", json={"count": 1, "queue": "reports"})

    assert answer.status_code == 422
    assert "'reports'" in answer.json()["error"] and "default, media, ai, email" in answer.json()["error"]
