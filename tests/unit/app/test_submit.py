from __future__ import annotations

import socket
import threading
import time
from uuid import uuid4

import pytest
from celery import Celery
from celery.states import PENDING

from app import submit
from app.celery import app


@pytest.fixture
def patience(monkeypatch):
    """Set how long a call may go without progress."""
    return lambda seconds: monkeypatch.setattr(submit, "patience", lambda: seconds)


@pytest.fixture
def broker(monkeypatch):
    """Let the module use a Celery app whose broker and result store are at `port`."""

    def use(port, backend="cache+memory://"):
        url = f"redis://127.0.0.1:{port}/0"
        other = Celery("other", broker=url, backend=url if backend is None else backend, set_as_current=False)
        other.conf.task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.1}
        monkeypatch.setattr(submit, "app", other)
        submit.fail_fast()
        return other

    return use


@pytest.fixture
def silent():
    """The port of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_id_is_pending_from_the_moment_it_is_given_out_and_unknown_before(queued):
    known, unknown = uuid4(), uuid4()
    submit.process_image(uuid4(), known)
    assert submit.look_up(str(known))["status"] == PENDING
    assert submit.look_up(str(unknown)) is None


def test_publishing_counts_what_was_accepted(queued):
    tasks = (app.signature("app.tasks.faults.count", args=["b", n, 0], queue="default") for n in range(300))
    assert submit.publish(tasks) == 300


@pytest.mark.parametrize("backend", ["cache+memory://", None])
def test_a_broker_that_refuses_connections_is_reported(broker, backend):
    broker(1, backend)
    with pytest.raises(submit.BrokerAwayError):
        submit.process_image(uuid4(), uuid4())


def test_an_id_that_was_not_accepted_stays_unknown(broker):
    other, task_id = broker(1), uuid4()
    with pytest.raises(submit.BrokerAwayError):
        submit.process_image(uuid4(), task_id)
    assert "task_id" not in other.backend.get_task_meta(str(task_id))


def test_a_broker_that_is_silent_is_given_up(broker, silent, patience):
    patience(0.4)
    broker(silent)
    began = time.monotonic()
    with pytest.raises(submit.BrokerAwayError, match="no answer for"):
        submit.process_image(uuid4(), uuid4())
    assert time.monotonic() - began < 2


def test_a_result_store_that_is_silent_is_given_up(broker, silent, patience):
    patience(0.4)
    broker(silent, None)
    with pytest.raises(submit.BrokerAwayError):
        submit.look_up(str(uuid4()))


def test_what_was_accepted_before_a_broker_fell_silent_is_known(queued, patience):
    patience(1)

    asked, given_up, before = [], threading.Event(), set(threading.enumerate())

    def tasks():
        for n in range(10):
            asked.append(n)
            if n == 7:
                given_up.wait(30)
            yield app.signature("app.tasks.faults.count", args=["b", n, 0], queue="default")

    with pytest.raises(submit.BrokerAwayError) as away:
        submit.publish(tasks())
    assert away.value.accepted == 7
    given_up.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert asked == list(range(8)), "it went on after it had been given up"


def test_a_slow_broker_is_not_given_up_while_it_accepts(queued, patience):
    patience(2)

    def tasks():
        for n in range(8):
            time.sleep(0.4)  # all in all longer than the patience
            yield app.signature("app.tasks.faults.count", args=["b", n, 0], queue="default")

    assert submit.publish(tasks()) == 8


def test_a_fault_of_ours_is_not_blamed_on_the_broker(queued):
    with pytest.raises(ZeroDivisionError):
        submit.publish(1 // 0 for _ in range(1))
