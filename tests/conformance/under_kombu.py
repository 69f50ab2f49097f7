"""A pytest plugin that puts this runtime under kombu's own tests, whose files stay as they were published.

Their connections to Redis go through the runtime's transport, and all get its transport options. What one of their
tests sets for itself stays set: it is what that test is about.
"""

from __future__ import annotations

import functools
from typing import Any

import kombu

from celery_runtime import rabbitmq, redis_transport
from celery_runtime.queues import load_queues
from celery_runtime.redis_transport.transport import use_claims
from celery_runtime.settings import RuntimeSettings, load


def pytest_configure() -> None:
    settings = load(RuntimeSettings)
    broker = redis_transport if settings.broker == "redis" else rabbitmq
    configuration = broker.configuration(settings, load_queues(settings.queues_file))
    if settings.broker == "redis" and settings.has("claim"):
        use_claims()
    defaults = {"transport_options": configuration["broker_transport_options"]}
    if "broker_heartbeat" in configuration:
        defaults["heartbeat"] = configuration["broker_heartbeat"]
    _connect_with(**defaults)


def _connect_with(transport_options: dict[str, Any], **defaults: Any) -> None:
    connect = kombu.Connection.__init__

    @functools.wraps(connect)
    def with_defaults(self: kombu.Connection, *args: Any, **kwargs: Any) -> None:
        kwargs["transport_options"] = transport_options | (kwargs.get("transport_options") or {})
        connect(self, *args, **defaults | kwargs)

    kombu.Connection.__init__ = with_defaults
