from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest
from celery import Celery
from redbeat.schedulers import RedBeatConfig

from celery_runtime import deep_health
from celery_runtime.deep_health import Check, ask, last_tick

SECRET = "redis://celery:hunter2@redis:6379"


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def answers(checks, within=5.0):
    return asyncio.run(ask(checks, within))


def test_answers_come_with_their_values_and_failures_without_their_details():
    found = answers({"good": Check("good", lambda: 7), "bad": Check("bad", lambda: fail(ConnectionError(SECRET)))})
    assert (found["good"].value, found["good"].failure) == (7, None)
    assert found["bad"].failure == "it failed with ConnectionError; the log says more"
    assert "hunter2" not in str(found)


def test_one_that_hangs_holds_up_no_other_and_gets_no_second_thread(gate):
    runs = []
    stuck = Check("stuck", lambda: (runs.append(1), gate.wait()))
    for _ in range(3):
        found = answers({"stuck": stuck, "quick": Check("quick", lambda: "here")}, within=0.05)
        assert found["quick"].value == "here"
        assert found["stuck"].failure == "it did not answer within 0.05 s"
    assert len(runs) == 1


def test_one_that_hung_is_asked_anew_when_it_is_back(gate):
    check = Check("slow", gate.wait)
    assert answers({"slow": check}, within=0.05)["slow"].failure
    gate.set()
    check.ask().result(5)
    assert answers({"slow": check})["slow"].failure is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "redbeat::lock"),
        ({"redbeat_key_prefix": "shop:"}, "shop::lock"),
        ({"redbeat_lock_key": "mine"}, "redbeat:mine"),
        ({"redbeat_lock_key": "redbeat:mine"}, "redbeat:mine"),
    ],
)
def test_the_last_tick_is_read_from_the_lock_that_redbeat_takes(monkeypatch, settings, key):
    app = Celery("any", set_as_current=False)
    app.conf.update(redbeat_lock_timeout=30, redbeat_redis_url="redis://", redbeat_redis_options={"db": 0}, **settings)
    left = {key: 27_000}
    monkeypatch.setattr(deep_health, "redis_of", lambda _: Client(left))
    asked = SimpleNamespace(conf=app.conf)
    assert last_tick(asked) == 3
    assert not hasattr(asked, "redbeat_conf"), "it would keep the settings that hold now"
    left.clear()
    assert last_tick(asked) is None
    assert RedBeatConfig(app).lock_key == key


class Client(SimpleNamespace):
    """A client of Redis that knows how long each key lives."""

    def __init__(self, left):
        super().__init__(pttl=lambda key: left.get(key, -2))


def fail(error):
    raise error
