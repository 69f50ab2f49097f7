from __future__ import annotations

from signal import SIGINT, SIGTERM
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.platforms import EX_OK
from celery.signals import worker_shutting_down
from celery.worker import state
from kombu import Connection

from celery_runtime.drain import Drain, install_step
from celery_runtime.health import Pulse
from celery_runtime.queues import Queue


def test_a_step_that_never_started_can_be_stopped():
    """Celery stops all steps when one of them fails to start, as at a Redis that refuses its writes."""
    app = Celery(set_as_current=False)
    install_step(app, Pulse(), {})
    (step,) = app.steps["consumer"]
    consumer = SimpleNamespace()

    step(consumer).stop(consumer)


def test_the_apps_own_receivers_hear_once_that_the_worker_is_to_stop():
    def hear(sender, sig, how, exitcode, **_):
        heard.append((sender, sig, how, exitcode))

    heard, drain = [], Drain(Pulse(), {})
    drain.hostname = "media@host"
    worker_shutting_down.connect(hear)
    try:
        drain.request(SIGTERM)
        drain.request(SIGINT)
    finally:
        state.should_stop = None

    assert heard == [("media@host", "SIGTERM", "Warm", 0)]


@pytest.mark.parametrize(("url", "ended"), [("amqp://", True), ("redis://", False)])
def test_only_redis_without_claims_may_still_deliver_once_its_consumer_is_cancelled(url, ended):
    channel = SimpleNamespace(prefetch_count=0)
    consumer = SimpleNamespace(
        app=Celery(set_as_current=False),
        connection=Connection(url),
        controller=None,
        pool=SimpleNamespace(),
        task_consumer=SimpleNamespace(cancel=lambda: None, channel=channel),
    )
    drain = Drain(Pulse(), {"orders": Queue(name="orders", soft_time_limit=9, time_limit=10, drain=10)})
    drain.request(SIGTERM)
    state.should_stop = None
    try:
        drain.look(consumer)
        assert state.should_stop is None
        drain.consuming = True
        drain.look(consumer)
        assert (state.should_stop == EX_OK) is ended
    finally:
        state.should_stop = None
