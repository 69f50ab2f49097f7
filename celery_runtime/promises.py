"""Which of an app's own settings break a guarantee, by what value and at what cost. It imports nothing of Celery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

UNSAFE_FORMATS = {"pickle", "yaml", "application/x-python-serialize", "application/x-yaml"}
FORMATS = ("accept_content", "task_serializer", "result_serializer")
_CODE = "whoever reaches the broker can run code"


def unsafe_formats(value: Any) -> set[str]:
    """Those of a format, or of several, that can hold code."""
    return UNSAFE_FORMATS & ({value} if isinstance(value, str) else set(value or ()))


# The runtime puts its own value in place, unless KEEP_SETTINGS names the setting.
BREAKING: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "task_acks_late": (lambda value: not value, "a killed worker loses what it runs"),
    "task_reject_on_worker_lost": (lambda value: not value, "a task whose process is killed is lost"),
    "task_create_missing_queues": (bool, "a misspelled queue fills up unseen"),
    "worker_prefetch_multiplier": (lambda value: value != 1, "short tasks wait behind a long one in the same worker"),
    "broker_connection_max_retries": (lambda value: value is not None, "an outage that takes longer ends the workers"),
    "broker_connection_retry_on_startup": (lambda value: not value, "a worker that starts in an outage ends"),
    "broker_heartbeat": (lambda value: not value, "nobody notices a connection to RabbitMQ that died in silence"),
    **dict.fromkeys(FORMATS, (unsafe_formats, _CODE)),
}
# What else KEEP_SETTINGS may name: results in a Redis that is not the one of REDIS_URL.
KEEPABLE = (*BREAKING, "result_backend")
