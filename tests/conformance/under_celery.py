"""A pytest plugin that puts this runtime under Celery's own tests, whose files stay as they were published.

The apps of its fixtures, and with them the worker that all of its tests share, are given to `celery_runtime.install` as
`celery_runtime.wrap` does it. What one of their tests sets for itself stays set: it is what that test is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import celery.contrib.pytest
from celery import Celery

import celery_runtime

FROM_THE_RUNTIME = {"broker_url", "result_backend"}  # the same servers, as the runtime reads them from its environment


def pytest_configure() -> None:
    create = celery.contrib.pytest._create_app

    @contextmanager
    def create_and_install(
        enable_logging: bool = False, use_trap: bool = False, parameters: Any = None, **config: Any
    ) -> Iterator[Celery]:
        with create(enable_logging, use_trap, parameters, **config) as app:
            celery_runtime.install(app)
            app.conf.update({key: value for key, value in config.items() if key not in FROM_THE_RUNTIME})
            yield app

    celery.contrib.pytest._create_app = create_and_install
