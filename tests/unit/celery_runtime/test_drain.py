from __future__ import annotations

from signal import SIGINT, SIGTERM
from types import SimpleNamespace

from celery import Celery
from celery.signals import worker_shutting_down
from celery.worker import state

from celery_runtime.drain import Drain, install_step
from celery_runtime.health import Pulse


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
