"""A pytest plugin that puts this runtime under Celery's own tests, whose files stay as they were published.

The apps of its fixtures, and with them the worker that all of its tests share, are given to `celery_runtime.install` as
`celery_runtime.wrap` does it, and where they ask for prefork, which is stock's default, they get the runtime's default.
What one of their tests sets for itself stays set: it is what that test is about.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import celery.contrib.pytest
from celery import Celery
from celery.contrib.testing import worker

import celery_runtime
from celery_runtime.queues import load_queues
from celery_runtime.settings import RuntimeSettings, load

FROM_THE_RUNTIME = {"broker_url", "result_backend"}  # the same servers, as the runtime reads them from its environment


def pytest_configure() -> None:
    _install_on_every_app()
    _use_the_default_pool()


def _install_on_every_app() -> None:
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


def _use_the_default_pool() -> None:
    start, settings = worker.start_worker, load(RuntimeSettings)
    (queue,) = load_queues(settings.queues_file).values()
    default = queue.pool_on(settings.broker, claims=settings.has("claim"))

    @functools.wraps(start)
    def start_with_default(app: Celery, *args: Any, pool: str = "solo", **options: Any) -> Any:
        return start(app, *args, pool=default if pool == "prefork" else pool, **options)

    worker.start_worker = start_with_default
