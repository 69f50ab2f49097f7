"""What the direct pool does not do: said at start, with the pool that does it."""

from __future__ import annotations

import os
import sys
from typing import Any

from celery.exceptions import WorkerShutdown
from celery.utils.log import get_logger

from celery_runtime.urls import scheme

REMEDY = 'Use Celery\'s own pool: pool = "prefork" in queues.toml, or --pool=prefork.'
log = get_logger(__name__)


def refuse_what_it_cannot(app: Any) -> None:
    """Raise WorkerShutdown(2), after a line that says why, when the worker of `app` cannot have this pool."""
    reason = _reason(app)
    if reason:
        log.critical("pool = direct: %s\n  %s", reason, REMEDY)
        raise WorkerShutdown(2)


def _reason(app: Any) -> str:
    if not hasattr(os, "memfd_create"):
        return f"it needs Linux, this is {sys.platform}."
    if not getattr(app, "celery_runtime_installed", False):
        return "it is part of celery_runtime, which this app did not install: call celery_runtime.install(app)."
    broker = scheme(app.conf.broker_url)
    if not broker.startswith(("redis", "sentinel", "amqp")):
        return f"it serves Redis and RabbitMQ, and the broker is {app.connection_for_read().as_uri()}."
    if not broker.startswith("amqp") and not app.celery_runtime_claims:
        return "its children claim their messages, and RUNTIME_OFF switches `claim` off."
    if app.conf.worker_pool_start_method != "fork":
        return f"its children are forked, and worker_pool_start_method is {app.conf.worker_pool_start_method!r}."
    return ""
