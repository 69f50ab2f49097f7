"""Follow a request through its tasks: TRACING_URL names the collector, which gets spans as OTLP over HTTP.

A span for each task that is published and one for each run, in the trace of the request that asked for them, through
the outbox, chains, retries and later times too. Log lines carry the id of their trace. Without TRACING_URL nothing here
imports OpenTelemetry; redis-py does where it is installed, so it is an extra.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from celery import Celery
from celery.app.defaults import DEFAULT_PROCESS_LOG_FMT, DEFAULT_TASK_LOG_FMT

from celery_runtime.settings import ConfigError

FIELD = "%(trace)s"  # of a log format: " trace_id=" and the id, or nothing
_DEFAULT_FORMATS = {"worker_log_format": DEFAULT_PROCESS_LOG_FMT, "worker_task_log_format": DEFAULT_TASK_LOG_FMT}
_spans: Any = None


def install(app: Celery, url: str | None, own: Collection[str] = ()) -> None:
    """Trace what this process publishes and runs for `app`, if there is a `url`. Raises ConfigError.

    own: the settings that the app makes itself.
    """
    global _spans  # noqa: PLW0603 -- a process has one tracer, whatever it has of apps
    if not url:
        return
    try:
        from celery_runtime.tracing import spans
    except ImportError as error:
        raise ConfigError(
            f"TRACING_URL = {url!r} needs OpenTelemetry, and {error.name} is not installed.\n"
            "  pip install 'celery-runtime[tracing]', or take TRACING_URL away."
        ) from None
    if _spans is None:
        spans.start(app.main or "celery", url)
    _spans = spans
    spans.install(app)
    # In a format of the app's own, `%(trace)s` stands where the app wants it.
    app.conf.update({name: with_trace(usual) for name, usual in _DEFAULT_FORMATS.items() if name not in own})


def is_on() -> bool:
    """Whether this process traces."""
    return _spans is not None


def with_trace(log_format: str) -> str:
    """The format of log lines with the id of the trace at their end, where this process traces."""
    return log_format + FIELD if is_on() else log_format


def carry(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a task that is published later, from elsewhere, with the trace that it belongs to."""
    return _spans.carry(options) if is_on() else options
