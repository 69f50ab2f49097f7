from __future__ import annotations

from types import SimpleNamespace

from celery import Celery

from celery_runtime.drain import install_step
from celery_runtime.health import Pulse


def test_a_step_that_never_started_can_be_stopped():
    """Celery stops all steps when one of them fails to start, as at a Redis that refuses its writes."""
    app = Celery(set_as_current=False)
    install_step(app, Pulse(), {})
    (step,) = app.steps["consumer"]
    consumer = SimpleNamespace()

    step(consumer).stop(consumer)
