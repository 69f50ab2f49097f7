from __future__ import annotations

import socket
import threading
import time

import pytest
from celery import Celery
from kombu.exceptions import EncodeError, OperationalError
from redis.exceptions import OutOfMemoryError

from celery_runtime import publishing
from celery_runtime.publishing import PATIENT, BrokerAwayError, bounded, explain, publish
from celery_runtime.settings import ConfigError


@pytest.fixture
def away():
    """An app in a patient process, whose broker refuses connections."""
    app = Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.task_publish_retry_policy = PATIENT
    app.conf.broker_transport_options = {"connect_retries_timeout": None}
    yield app
    app.close()


def test_a_name_server_that_does_not_answer_is_given_up(monkeypatch, away):
    asked = threading.Event()

    def silent(*_, **__):
        asked.set()
        time.sleep(3)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(BrokerAwayError, match=r"no answer for 0.5 s.*PUBLISH_TIMEOUT") as raised:
        publish(away, [away.signature("run")], 0.5)
    assert asked.is_set() and raised.value.accepted == 0


def test_what_was_given_up_stops_trying(away):
    before = set(threading.enumerate())
    with pytest.raises(BrokerAwayError):
        publish(away, [away.signature("run")], 0.5)
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, "it still tries to publish"
        time.sleep(0.05)


def test_what_the_work_raises_for_other_reasons_is_not_the_brokers_fault(away):
    with pytest.raises(EncodeError):
        bounded(away, lambda: (_ for _ in ()).throw(EncodeError("no JSON")), 1)
    assert bounded(away, lambda: 7, 1) == 7


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        (OutOfMemoryError("command not allowed"), "maxmemory"),
        (ConnectionRefusedError(111, "Connection refused"), "Start the broker"),
        (socket.gaierror(-2, "Name or service not known"), "Correct the host"),
        (ValueError("strange"), "Look at the broker's log"),
    ],
)
def test_an_error_says_what_to_do(cause, remedy):
    error = OperationalError("wrapped")
    error.__cause__ = cause
    assert remedy in explain(error) and str(cause if remedy != "Look at the broker's log" else error) in explain(error)


def test_the_bound_is_a_setting(monkeypatch):
    publishing.publish_timeout.cache_clear()
    monkeypatch.setenv("PUBLISH_TIMEOUT", "2.5")
    assert publishing.publish_timeout() == 2.5
    publishing.publish_timeout.cache_clear()
    monkeypatch.setenv("PUBLISH_TIMEOUT", "never")
    with pytest.raises(ConfigError, match=r"PUBLISH_TIMEOUT = 'never' is not valid[^\n]*\n  A valid example"):
        publishing.publish_timeout()
