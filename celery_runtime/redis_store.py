"""The Redis of REDIS_URL: locks and Beat's lock are there, wherever the app keeps its results."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from celery import Celery
from celery.app import backends

from celery_runtime.sentinel import transport_options
from celery_runtime.settings import RuntimeSettings, load


@lru_cache(maxsize=8)
def redis_of(app: Celery) -> Any:
    """Its client, made once for each app. Raises ConfigError."""
    settings = load(RuntimeSettings)
    if app.conf.result_backend == settings.redis:
        return app.backend.client
    kind, url = backends.by_url(settings.redis, app.loader)
    # Those of the app's settings are for its own results.
    options = {"_transport_options": transport_options(settings)}
    return type(kind.__name__, (kind,), options)(app=app, url=url).client
