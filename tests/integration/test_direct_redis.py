"""The direct pool on Redis: its step, its claims and what may break between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from celery import group
from redis import Redis

from celery_runtime.direct.redis.source import STEP_SHA
from tests.integration.direct_worker import (
    kill_child_with_the_victim,
    kill_children_under_load,
    lines,
    pids,
    producing,
    run,
    runs,
    started,
    task,
)
from tests.integration.proxy import Proxy

STOP = 15  # seconds on a busy machine; tests/chaos measures how quick it is


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return tmp_path_factory.mktemp("direct") / "ledger"


@pytest.fixture(scope="module")
def server(own_redis):
    """A client that may do everything on the Redis of these tests."""
    own_redis[1].flushall()
    return own_redis[1]


@pytest.fixture(scope="module")
def environment(own_redis, server, secrets):
    url = f"redis://celery@127.0.0.1:{own_redis[0]}/0"
    return {"BROKER": "redis", "REDIS_URL": url, "REDIS_PASSWORD_FILE": str(secrets / "password")}


@pytest.fixture
def apart(environment):
    """The same server for a worker that shares no queue with that of the module."""
    return environment | {"REDIS_URL": environment["REDIS_URL"].replace("/0", "/1")}


@pytest.fixture
def other(own_redis):
    with Redis(port=own_redis[0], db=1, username="admin", password="integration", decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture(scope="module")
def worker(environment, ledger):
    with started(environment, ledger) as worker:
        yield worker


@pytest.fixture(scope="module")
def producer(worker):
    with producing(worker) as app:
        app.set_default()
        yield app


def until_settled(worker, server, before=()):
    """Wait until nothing is held any more but what was held `before`: a revoked task keeps its place until its time."""

    def held():
        return set(server.hkeys("unacked:anyapp")) - set(before)

    worker.wait(lambda: not held(), "the acknowledgements")


def test_who_asks_to_hear_of_receipts_after_the_start_hears_of_each(apart, tmp_path, other):
    ledger = tmp_path / "ledger"
    with started(apart, ledger, HEARS="1") as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)

        def heard(number):
            sent = task(producer, "add", 1, number).apply_async()
            assert sent.get(timeout=30) == 1 + number
            return runs(ledger, sent.id) == {"received": 1}

        worker.wait(lambda: heard(0), "the children to know")
        assert all(heard(number) for number in range(5))
        producer.close()


def test_a_script_that_redis_forgot_is_sent_again(producer, worker, server):
    server.script_flush()

    assert run(producer, "add", 1, 1) == 2


def test_connections_that_are_cut_cost_no_task_and_repeat_none(producer, worker, server, ledger):
    before = server.hkeys("unacked:anyapp")
    tasks = [task(producer, "sleep", 0.05).apply_async() for _ in range(60)]
    for _ in range(3):
        server.execute_command("CLIENT", "KILL", "TYPE", "normal")
        time.sleep(0.3)  # for the worker to be in the middle of something else

    assert len([each.get(timeout=60) for each in tasks]) == 60
    assert all(runs(ledger, each.id) == {"start": 1, "end": 1} for each in tasks)
    until_settled(worker, server, before)


def test_children_that_are_killed_under_load_cost_no_task(producer, worker, server, ledger):
    before = server.hkeys("unacked:anyapp")
    tasks, kills = kill_children_under_load(worker, producer, ledger)

    again = sum(runs(ledger, each.id)["end"] - 1 for each in tasks)
    assert again <= kills  # what ended, and was not settled yet
    until_settled(worker, server, before)


@pytest.mark.parametrize(("step", "starts"), [("claimed", 1), ("held", 1), ("ended", 2)])
def test_a_child_may_be_killed_at_each_step_of_its_loop(apart, tmp_path, other, step, starts):
    ledger = tmp_path / "ledger"
    with started(apart, ledger, STOP_AT=step) as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        hit = kill_child_with_the_victim(worker, producer, ledger)

        assert runs(ledger, hit.id) == {"start": starts}
        until_settled(worker, other)
        producer.close()


def test_children_are_replaced_after_their_tasks_and_when_they_grew(apart, tmp_path):
    recycling = started(apart, tmp_path / "ledger", "max_tasks_per_child = 5")
    with recycling as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        served = group(task(producer, "sleep", 0) for _ in range(40)).apply_async().get(timeout=30)
        producer.close()

    assert max(Counter(served).values()) == 5


def test_a_stop_under_load_ends_what_runs_and_begins_nothing(apart, tmp_path, other):
    ledger = tmp_path / "ledger"
    with started(apart, ledger) as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        for _ in range(100):
            task(producer, "sleep", 0.1).apply_async()
        worker.wait(lambda: len(lines(ledger)) > 10, "tasks to run")

        worker.process.terminate()
        assert worker.process.wait(STOP) == 0
        producer.close()

    count = Counter(what for what, _, _ in lines(ledger))
    assert count["start"] == count["end"] < 100
    assert other.llen("anyapp") == 100 - count["end"]
    assert not other.hlen("unacked:anyapp")
    other.delete("anyapp")


@contextmanager
def plain_worker(apart, tmp_path, *options, **variables):
    """Celery's own command with an app that installs the runtime and chooses the pool itself."""
    plain = started(apart, tmp_path / "ledger", PLAIN="1", **variables)
    command = [sys.executable, "-m", "celery", "-A", "directapp", "worker", "--queues=anyapp", *options]
    with plain.log_file.open("ab") as log:
        plain.process = subprocess.Popen(command, cwd=tmp_path, env=plain.environment, stdout=log, stderr=log)
    try:
        yield plain
    finally:
        plain.__exit__()


def test_plain_celery_worker_has_the_pool_by_a_setting_and_scales_it(apart, tmp_path, other):
    options = ["--autoscale=4,1", "--without-heartbeat", "--without-gossip", "--without-mingle"]
    with plain_worker(apart, tmp_path, *options) as worker, pytest.MonkeyPatch.context() as patch:
        worker.wait(lambda: worker.get("/readyz")[0] == 200, "the worker to be ready")
        producer = worker.producer(patch)
        assert len(pids(worker)) == 1
        for _ in range(40):
            task(producer, "sleep", 0.3).apply_async()
        worker.wait(lambda: len(pids(worker)) == 4, "four children")
        worker.wait(lambda: len(lines(tmp_path / "ledger")) == 80, "all tasks")
        producer.close()


def test_without_the_claim_it_refuses_to_start_and_names_the_remedy(apart, tmp_path):
    with plain_worker(apart, tmp_path, RUNTIME_OFF="claim") as worker:
        assert worker.process.wait(60) == 2

    assert 'Use Celery\'s own pool: pool = "prefork"' in worker.log()
    assert "Traceback" not in worker.log()


def test_without_the_claim_the_command_of_the_runtime_takes_prefork(apart, tmp_path, other):
    with started(apart, tmp_path / "ledger", RUNTIME_OFF="claim") as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        assert run(producer, "add", 1, 1) == 2
        assert "(prefork)" in worker.log()
        producer.close()


def test_an_answer_that_is_lost_after_the_step_was_taken_costs_and_repeats_nothing(apart, own_redis, tmp_path, other):
    steps = []

    def cut_some(data):
        if STEP_SHA.encode() not in data:
            return False
        steps.append(data)
        return len(steps) in {10, 20, 30}

    proxy = Proxy(own_redis[0], cut_some)
    proxy.open()
    through = apart | {"REDIS_URL": f"redis://celery@127.0.0.1:{proxy.port}/1"}
    ledger = tmp_path / "ledger"
    with started(through, ledger) as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        tasks = [task(producer, "sleep", 0.01).apply_async() for _ in range(60)]

        assert len([each.get(timeout=60) for each in tasks]) == 60
        assert all(runs(ledger, each.id) == {"start": 1, "end": 1} for each in tasks)
        until_settled(worker, other)
        producer.close()
    proxy.close()
    assert len(steps) > 30


def test_children_go_on_while_their_parent_stands_still(producer, worker, ledger):
    tasks = [task(producer, "sleep", 0.02).apply_async() for _ in range(100)]
    worker.wait(lambda: runs(ledger, tasks[0].id), "the first task")
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        worker.wait(lambda: all(runs(ledger, each.id)["end"] for each in tasks), "all tasks", 30)
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)

    assert len([each.get(timeout=30) for each in tasks]) == 100
    assert all(runs(ledger, each.id) == {"start": 1, "end": 1} for each in tasks)


def test_a_fork_that_fails_is_tried_again(apart, tmp_path, other):
    with started(apart, tmp_path / "ledger", FORKS_THAT_FAIL=3) as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        for pid in pids(worker):
            os.kill(pid, signal.SIGKILL)
        assert run(producer, "add", 1, 1) == 2
        worker.wait(lambda: len(pids(worker)) == 2, "both children")
        producer.close()

    assert worker.log().count("no child could be forked") == 3
