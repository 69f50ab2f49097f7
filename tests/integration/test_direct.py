"""The direct pool does what Celery's own does, for every kind of task, remote control and misfortune."""

from __future__ import annotations

import os
import signal
import time
from types import NoneType

import pytest
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError, TimeLimitExceeded, WorkerLostError
from celery.exceptions import TimeoutError as StillWaitingError

from tests.integration.direct_worker import lines, parked, pids, producing, run, runs, started, task


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return tmp_path_factory.mktemp("direct") / "ledger"


@pytest.fixture(scope="module", params=["redis", pytest.param("rabbitmq", marks=pytest.mark.slow)])
def environment(request, secrets):
    if request.param == "rabbitmq":
        return request.getfixturevalue("on_rabbitmq")
    port, server = request.getfixturevalue("own_redis")
    server.flushall()
    url = f"redis://celery@127.0.0.1:{port}/0"
    return {"BROKER": "redis", "REDIS_URL": url, "REDIS_PASSWORD_FILE": str(secrets / "password")}


@pytest.fixture(scope="module")
def worker(environment, ledger):
    with started(environment, ledger) as worker:
        yield worker


@pytest.fixture(scope="module")
def producer(worker):
    with producing(worker) as app:
        app.set_default()
        yield app


def test_every_way_in_which_a_task_ends(producer, worker, ledger):
    assert run(producer, "add", 1, 2) == 3
    assert run(producer, "retry") == 2
    assert run(producer, "requeue") == "again"
    assert run(producer, "early") == "early"
    assert run(producer, "patient") == "soft"
    custom = task(producer, "custom").apply_async()
    assert custom.get(timeout=30) == "custom"
    worker.wait(lambda: runs(ledger, custom.id) == {"request": 1}, "the app's own request class to be used")
    for name, error in {"fail": ValueError, "reject": Exception, "stubborn": TimeLimitExceeded}.items():
        with pytest.raises(error):
            run(producer, name)
    for name, args in {"leave": [3], "die": []}.items():
        with pytest.raises(WorkerLostError):
            run(producer, name, *args)


@pytest.mark.parametrize("rate", [None, "50/s"])
def test_a_time_limit_is_told_once_with_its_queue(producer, worker, rate):
    """A task with a rate limit runs as a job of Celery's own request, any other as a message of the child."""
    producer.control.rate_limit("directapp.stubborn", rate, reply=True, limit=1, timeout=10)
    try:
        slow = task(producer, "stubborn").apply_async()
        with pytest.raises(TimeLimitExceeded):
            slow.get(timeout=30)
        told = f"task failed: task_id={slow.id} "
        worker.wait(lambda: told in worker.log(), "the failure to be told")
        assert worker.log().count(told) == 1
        assert f"{told}name=directapp.stubborn queue=anyapp attempt=1 " in worker.log()
    finally:
        producer.control.rate_limit("directapp.stubborn", None, reply=True, limit=1, timeout=10)


def test_what_is_not_to_be_acknowledged_is_parked(producer, worker):
    failing = task(producer, "fail_unacknowledged").apply_async()
    with pytest.raises(ValueError, match="as asked"):
        failing.get(timeout=30)
    worker.wait(lambda: failing.id in parked(producer), "it to be parked")


def test_the_log_tells_of_receipt_and_end_as_stocks_does(producer, worker):
    added = task(producer, "add", 1, 2).apply_async()
    assert added.get(timeout=30) == 3

    def told():
        log = worker.log_file.read_text().splitlines()
        return [line.split(f"Task directapp.add[{added.id}] ")[1] for line in log if added.id in line]

    worker.wait(lambda: len(told()) == 2, "two lines of the log")
    received, succeeded = told()
    assert received == "received"
    assert succeeded.startswith("succeeded in ")
    assert succeeded.endswith("s: 3")


def test_a_task_sees_the_request_that_stock_shows(producer):
    seen = run(producer, "context")

    assert seen == {
        "args": [],
        "delivery_info": {"exchange": "", "routing_key": "anyapp", "priority": 0, "redelivered": False},
        "hostname": seen["hostname"],
        "is_eager": False,
        "kwargs": {},
        "retries": 0,
    }
    assert seen["hostname"].startswith("anyapp@")


def test_canvases(producer):
    def add(*args):
        return task(producer, "add", *args)

    assert chain(add(1, 2), add(3), add(4)).apply_async().get(timeout=30) == 10
    assert group(add(i, i) for i in range(20)).apply_async().get(timeout=30) == [2 * i for i in range(20)]
    assert chord([add(i, i) for i in range(20)])(task(producer, "total")).get(timeout=30) == 380
    assert chain(add(1, 1), group(add(1), add(2)), task(producer, "total")).apply_async().get(timeout=30) == 7


def test_times_and_rates_are_kept(producer):
    began = time.time()
    assert run(producer, "add", 1, 1, countdown=1) == 2
    assert 1 <= time.time() - began < 5
    with pytest.raises(TaskRevokedError, match="expired"):
        run(producer, "add", 1, 1, expires=-1)
    began = time.time()  # the first may run late, on a busy machine
    times = group(task(producer, "limited") for _ in range(6)).apply_async().get(timeout=30)
    assert max(times) - began > 0.4  # 10/s: five pauses of 0.1 s


def test_remote_control_sees_and_stops_what_children_fetched(producer, worker, ledger):
    inspect = producer.control.inspect(timeout=10, limit=1)
    running = task(producer, "sleep", 600).apply_async()
    later = task(producer, "add", 1, 1).apply_async(countdown=600)
    worker.wait(lambda: runs(ledger, running.id)["start"], "the task to start")

    ((node, active),) = inspect.active().items()
    assert [(each["id"], each["args"], each["worker_pid"] in pids(worker)) for each in active] == [
        (running.id, [600], True)
    ]

    def scheduled():
        return [each["request"]["id"] for each in inspect.scheduled()[node]]

    if worker.environment["BROKER"] == "redis":  # RabbitMQ keeps it until its time
        worker.wait(lambda: scheduled() == [later.id], "the other child to hand over what is for later")
    assert inspect.query_task(running.id)[node][running.id][0] == "active"

    running.revoke(terminate=True)
    later.revoke()
    with pytest.raises(TaskRevokedError):
        running.get(timeout=30)
    worker.wait(lambda: not inspect.active()[node], "the task to be gone")
    assert runs(ledger, running.id) == {"start": 1}
    assert run(producer, "add", 2, 2) == 4


def test_a_revoked_id_is_not_run_by_any_child(producer, worker):
    doomed = task(producer, "add", 1, 1)
    doomed.freeze()
    producer.control.revoke(doomed.id, reply=True, limit=1, timeout=10)

    with pytest.raises(TaskRevokedError, match="revoked"):
        doomed.apply_async().get(timeout=30)


def test_the_pool_grows_shrinks_and_restarts(producer, worker):
    before = pids(worker)
    producer.control.pool_grow(2, reply=True, limit=1, timeout=10)
    worker.wait(lambda: len(pids(worker)) == 4, "four children")
    producer.control.pool_shrink(2, reply=True, limit=1, timeout=10)
    worker.wait(lambda: len(pids(worker)) == 2, "two children")

    producer.control.broadcast("pool_restart", reply=True, limit=1, timeout=10)
    worker.wait(lambda: len(pids(worker)) == 2 and not pids(worker) & before, "new children")
    assert run(producer, "add", 1, 1) == 2


def test_queues_come_and_go(producer, worker):
    producer.control.cancel_consumer("anyapp", reply=True, limit=1, timeout=10)
    inspect = producer.control.inspect(timeout=10, limit=1)
    worker.wait(lambda: not any(inspect.active_queues().values()), "the queue to be given up")
    waiting = task(producer, "add", 1, 1).apply_async()
    with pytest.raises(StillWaitingError):
        waiting.get(timeout=2)
    producer.control.add_consumer("anyapp", reply=True, limit=1, timeout=10)
    assert waiting.get(timeout=30) == 2


def test_limits_change_while_it_runs(producer, worker):
    producer.control.time_limit("directapp.sleep", soft=1, hard=2, reply=True, limit=1, timeout=10)
    producer.control.rate_limit("directapp.add", "5/s", reply=True, limit=1, timeout=10)
    try:
        with pytest.raises(Exception, match="SoftTimeLimitExceeded"):
            run(producer, "sleep", 600)
        began = time.monotonic()
        group(task(producer, "add", 1, 1) for _ in range(5)).apply_async().get(timeout=30)
        assert time.monotonic() - began > 0.7
    finally:
        producer.control.time_limit("directapp.sleep", reply=True, limit=1, timeout=10)
        producer.control.rate_limit("directapp.add", None, reply=True, limit=1, timeout=10)


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("fork", "parent"),
        ("thread", 1),
        ("change_signals", None),
        ("close_everything", WorkerLostError),
        ("devour", MemoryError),
        ("scribble", None),
    ],
)
def test_what_a_task_does_to_its_child_stays_there(producer, worker, name, ends):
    stray = task(producer, name).apply_async()

    if isinstance(ends, type):
        with pytest.raises(ends):
            stray.get(timeout=30)
    elif name == "scribble":
        worker.wait(lambda: "wrote over its slot" in worker.log(), "the damage to be seen")
        stray.revoke()
    else:
        assert stray.get(timeout=30) == ends
    assert group(task(producer, "add", i, i) for i in range(20)).apply_async().get(timeout=30)
    assert len(pids(worker)) == 2


def test_a_task_that_closes_everything_and_returns_is_settled(producer, worker):
    """Its child connects again and settles it, or its parent finds the child cut off first: whichever is sooner."""
    stray = task(producer, "close_everything", 0).apply_async()

    assert isinstance(stray.get(timeout=30, propagate=False), NoneType | WorkerLostError)
    assert group(task(producer, "add", i, i) for i in range(20)).apply_async().get(timeout=30)


def test_a_child_that_is_stopped_is_ended_by_its_time_limit(producer, worker, ledger):
    stuck = task(producer, "sleep", 600).apply_async(time_limit=5, soft_time_limit=4)
    worker.wait(lambda: runs(ledger, stuck.id)["start"], "the task to start")
    (child,) = [int(pid) for what, which, pid in lines(ledger) if (what, which) == ("start", stuck.id)]
    os.kill(child, signal.SIGSTOP)

    with pytest.raises(TimeLimitExceeded):
        stuck.get(timeout=30)
    assert run(producer, "add", 1, 1) == 2
