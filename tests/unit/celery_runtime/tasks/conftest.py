from __future__ import annotations

from functools import partial

import pytest
from celery import Celery

from celery_runtime.tasks.signals import task_gave_up


@pytest.fixture
def app():
    """An app whose messages stay in this process."""
    app = Celery("some-app", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.task = partial(app.task, shared=False)
    yield app
    app.close()


@pytest.fixture
def alerts():
    """What was sent with task_gave_up."""
    seen = []

    def alert(**facts):
        seen.append(facts)

    task_gave_up.connect(alert)
    yield seen
    task_gave_up.disconnect(alert)
