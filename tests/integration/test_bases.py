"""The task bases and the outbox, with real workers on both brokers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import pairwise
from uuid import uuid4

import pytest
from celery.states import READY_STATES, SUCCESS

from celery_runtime import publishing
from tests.integration.conftest import until
from tests.integration.processes import ROOT

TTL = 3  # seconds; of the locks in bases_app. A busy machine keeps a renewal waiting for one of them


def outcome(task, seconds=30):
    """Wait for the result, or raise the failure. AsyncResult.get() would hold a subscription that outlasts Redis."""
    backend = task.app.backend
    until(lambda: backend.get_task_meta(task.id)["status"] in READY_STATES, seconds)
    meta = backend.get_task_meta(task.id)
    if meta["status"] != SUCCESS:
        raise meta["result"]
    return meta["result"]


def kill(service, name):
    process = service.processes.pop(name)
    service.health_ports.pop(name)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_what_passes_is_tried_again_and_nobody_is_woken(bases, key):
    task = bases.flaky.delay(key, 2)

    assert outcome(task) == "done"
    assert bases.notes(key) == [{"attempt": 1}, {"attempt": 2}, {"attempt": 3}]
    assert bases.notes(task.id) == []


def test_what_does_not_pass_is_given_up_once_with_a_line_and_an_alert(bases, key):
    task = bases.flaky.delay(key, 9)

    with pytest.raises(ConnectionError):
        outcome(task)
    assert len(bases.notes(key)) == 3
    name = "tests.integration.bases_app.flaky"
    until(lambda: bases.notes(task.id))
    assert bases.notes(task.id) == [
        {"name": name, "attempt": 3, "exception": "ConnectionError('away')", "fallback": False}
    ]
    line = f"task failed: task_id={task.id} name={name} queue=bases attempt=3 reason='ConnectionError: away'"
    until(lambda: line in bases.service.log("worker-bases"))
    assert bases.service.log("worker-bases").count(f"task tries again: task_id={task.id}") == 2


@pytest.mark.slow
def test_the_pause_that_was_asked_for_is_kept(bases, key):
    outcome(bases.told_to_wait.delay(key, 3))

    first, second = (entry["at"] for entry in bases.notes(key))
    assert second - first >= 3


def test_a_fallback_is_the_result_and_somebody_is_woken(bases, key):
    task = bases.falls_back.delay(key)

    assert outcome(task) == f"the next best thing to {key}"
    assert [entry["fallback"] for entry in bases.notes(task.id)] == [True]  # sent before the result is stored


def test_only_one_runs_at_a_time_however_long_it_takes_and_tokens_grow(bases, key):
    tasks = [bases.waits.delay(key, 1.5 * TTL) for _ in range(2)]

    tokens = [outcome(task, 60) for task in tasks]
    steps = bases.notes(key)
    assert [step["what"] for step in steps] == ["start", "end"] * 2
    assert all(start["id"] == end["id"] for start, end in zip(steps[::2], steps[1::2], strict=True))
    assert all(earlier["token"] < later["token"] for earlier, later in pairwise(steps[::2]))
    assert len(set(tokens)) == 2


def test_locks_of_different_arguments_do_not_wait_for_each_other(bases, key):
    bases.app.backend.client.set(bases.waits.lock_key(key, 0), "somebody 1", px=60_000)

    outcome(bases.waits.delay(f"{key}-other", 0))


def test_the_second_one_is_skipped_or_fails_as_its_task_says(bases, key):
    name = bases.skips.lock_key(key, 0)
    bases.app.backend.client.set(name, "somebody 1", px=60_000)
    bases.app.backend.client.set(bases.fails.lock_key(key, 0), "somebody 1", px=60_000)

    assert outcome(bases.skips.delay(key, 0)) == {"skipped": f"{name} is held by task somebody"}
    with pytest.raises(Exception, match="is held by task somebody"):
        outcome(bases.fails.delay(key, 0))
    assert bases.notes(key) == []


@pytest.mark.slow
def test_the_lock_of_a_killed_worker_is_free_after_its_lifetime(bases, key):
    service = bases.service
    service.stop("worker-bases")
    service.start_worker("bases", name="victim")
    bases.waits.delay(key, 60)
    until(lambda: bases.notes(key))
    kill(service, "victim")
    killed = time.monotonic()
    bases.app.control.purge()  # RabbitMQ delivers the killed one again, for another 60 s
    service.start_worker("bases")

    token = outcome(bases.waits.delay(key, 0), 60)
    assert token > bases.notes(key)[0]["token"]
    assert time.monotonic() - killed < TTL + 45  # most of it the worker's start


def test_a_lock_that_is_lost_is_noticed_by_the_task(bases, key):
    task = bases.waits.delay(key, 60)
    until(lambda: bases.notes(key))
    bases.app.backend.client.delete(bases.waits.lock_key(key, 60))

    with pytest.raises(Exception, match=r"was lost"):
        outcome(task)


def test_a_task_that_ignores_the_loss_is_no_success_and_leaves_the_lock_to_its_holder(bases, key):
    with pytest.raises(Exception, match=r"was lost"):
        outcome(bases.robbed.delay(key))
    assert bases.app.backend.client.get(bases.robbed.lock_key(key)) == b"another 1"


def test_a_suspended_holder_knows_on_waking_that_it_is_late(bases, key):
    service = bases.service
    task = bases.waits.delay(key, 60)
    until(lambda: bases.notes(key))
    group = service.processes["worker-bases"].pid
    os.killpg(group, signal.SIGSTOP)
    lock = bases.waits.lock_key(key, 0)
    try:
        until(lambda: not bases.app.backend.client.exists(lock))
    finally:
        os.killpg(group, signal.SIGCONT)

    with pytest.raises(Exception, match=r"was lost"):
        outcome(task)
    service.wait(lambda: service.health("worker-bases", "ready"), "the worker to go on")


def test_a_task_delivered_twice_at_the_same_moment_has_its_effect_once(bases, key):
    task_id = str(uuid4())
    for _ in range(2):
        bases.charge.apply_async((key, 3), task_id=task_id)

    until(lambda: Counter(entry["what"] for entry in bases.notes(key))["done"] == 2)
    outcome(bases.charge.delay(key, 0))
    assert Counter(entry["what"] for entry in bases.notes(key)) == {"delivered": 3, "charged": 1, "done": 3}
    assert [entry["what"] for entry in bases.notes(key)][:2] == ["delivered", "delivered"]


def test_a_result_too_large_for_the_next_task_is_a_failure_with_a_reason(bases):
    chain = (bases.large.s(100) | bases.take.s()).apply_async()

    with pytest.raises(Exception, match=r"take have 100.\d KiB, more than the 64 KiB allowed"):
        outcome(chain.parent)


@pytest.mark.parametrize(
    ("step", "runs"), [("before the commit", 0), ("before the publishing", 1), ("before the deletion", 2)]
)
def test_a_process_killed_on_the_way_loses_nothing_and_sends_nothing_that_was_not_committed(bases, key, step, runs):
    script = [sys.executable, "-m", "tests.integration.outbox_process", step, key]
    killed = subprocess.run(script, cwd=ROOT, env=bases.service.environment, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert bases.outbox.waiting().tasks == min(runs, 1)

    # PostgreSQL frees the row of the killed one a moment after its death; until then the relay skips it.
    until(lambda: bases.outbox.relay.run() == min(runs, 1))
    until(lambda: len(bases.notes(key)) >= runs)
    outcome(bases.run.delay(key))  # published after all of them

    assert len(bases.notes(key)) == runs + 1
    assert len({entry["id"] for entry in bases.notes(key)[:-1]}) <= 1
    assert bases.outbox.waiting() == (0, 0.0, 0)


def test_after_the_commit_a_task_is_published_at_once(bases, key):
    with bases.transaction() as session:
        task_id = bases.outbox.send(session, bases.run.s(key))
        assert bases.notes(key) == []

    until(lambda: bases.notes(key) == [{"id": str(task_id)}])
    until(lambda: bases.outbox.waiting().tasks == 0)


def test_two_relays_publish_no_task_twice(bases, key):
    with bases.transaction() as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bases.outbox.relay, "nudge", lambda _session: None)
        for _ in range(150):
            bases.outbox.send(session, bases.run.s(key))
    relays = [threading.Thread(target=bases.outbox.relay.run) for _ in range(3)]
    [relay.start() for relay in relays]
    [relay.join() for relay in relays]

    until(lambda: len(bases.notes(key)) >= 150)
    outcome(bases.run.delay(f"{key}-last"))
    assert len(bases.notes(key)) == 150


def test_a_paused_broker_ends_the_waiting_and_rows_stay(bases, key, broker, request):
    container = request.getfixturevalue(broker)[0]
    with bases.transaction() as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bases.outbox.relay, "nudge", lambda _session: None)
        bases.outbox.send(session, bases.run.s(key))
    container.pause()
    try:
        began = time.monotonic()
        with pytest.raises(publishing.BrokerAwayError, match="no answer for 2 s") as away:
            publishing.publish(bases.app, [bases.run.s(f"{key}-direct")], 2)
        assert time.monotonic() - began < 10 and away.value.accepted == 0
        assert bases.outbox.relay.run(2) == 0
        assert bases.outbox.waiting().tasks == 1
    finally:
        container.unpause()

    bases.outbox.relay.run()
    until(lambda: bases.notes(key), 60)
    assert len({entry["id"] for entry in bases.notes(key)}) == 1  # the paused broker may have taken it before
    assert bases.outbox.waiting().tasks == 0
