"""The spans: one around each publishing, one around each run.

Not OpenTelemetry's own instrumentation of Celery: of a task whose publishing failed, or whose code this process does
not have, that leaves the span open (read in 0.66b2, `_trace_after_publish`), and all that its thread does later
belongs to it. What a pool child was doing when it was killed has no span, since spans are sent when they end.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import task_postrun, task_prerun, worker_process_shutdown, worker_shutdown
from celery.states import FAILURE, RETRY
from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from celery_runtime.layers import Send, around_sending

PATIENCE = 2  # seconds for the collector, which no stop of a worker may wait for much longer
tracer = trace.get_tracer("celery_runtime")


class PerProcess(SpanProcessor):  # type: ignore[misc]
    """Sends the ended spans of each process over a connection of its own; no lock, which a fork might copy held."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._batches: dict[int, BatchSpanProcessor] = {}

    def on_end(self, span: ReadableSpan) -> None:
        pid = os.getpid()
        (self._batches.get(pid) or self._begin(pid)).on_end(span)

    def _begin(self, pid: int) -> BatchSpanProcessor:
        begun = BatchSpanProcessor(OTLPSpanExporter(endpoint=self.url, timeout=PATIENCE))
        batch = self._batches.setdefault(pid, begun)
        if batch is not begun:  # another thread was first
            begun.shutdown()
        return batch

    def shutdown(self) -> None:
        if batch := self._batches.pop(os.getpid(), None):
            batch.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        batch = self._batches.get(os.getpid())
        return bool(batch.force_flush(timeout_millis)) if batch else True


def start(service: str, url: str) -> None:
    """Let this process and its children send their spans to the collector at `url`.

    service: the name of it all where OTEL_SERVICE_NAME gives none. A provider of the app's own stays.
    """
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        provider = TracerProvider(resource=resource)
        sender = PerProcess(f"{url.rstrip('/')}/v1/traces")
        provider.add_span_processor(sender)
        trace.set_tracer_provider(provider)
        for last in (worker_process_shutdown, worker_shutdown):
            last.connect(lambda **_: sender.shutdown(), weak=False)
    task_prerun.connect(_begin, weak=False)
    task_postrun.connect(_end, weak=False)
    _mark_log_records()


def install(app: Celery) -> None:
    """Trace what this process publishes for `app`."""

    def traced(send: Send) -> Send:
        def send_task_message(producer: Any, name: str, message: Any, *args: Any, **options: Any) -> Any:
            headers = dict(options.pop("headers", None) or {})
            about = {"celery.task_name": name, "messaging.message.id": str(message.headers.get("id"))}
            with tracer.start_as_current_span(f"publish {name}", _extract(headers), SpanKind.PRODUCER, about):
                propagate.inject(headers)
                return send(producer, name, message, *args, headers=headers, **options)

        return send_task_message

    around_sending(app, traced)


def carry(options: dict[str, Any]) -> dict[str, Any]:
    """`options` with the headers of the current trace."""
    headers = dict(options.get("headers") or {})
    propagate.inject(headers)
    return {**options, "headers": headers} if headers else options


def _extract(headers: dict[str, str]) -> context.Context:
    """The trace that the headers name, or the current one."""
    return propagate.extract(headers, context.get_current())


def _begin(task: Any, task_id: str, **_: Any) -> None:
    request = task.request
    # The headers of a message are attributes of its request.
    found = {name: getattr(request, name, None) for name in propagate.get_global_textmap().fields}
    parent = _extract({name: value for name, value in found.items() if isinstance(value, str)})
    about = {
        "celery.task_name": task.name,
        "celery.retries": request.retries or 0,
        "messaging.message.id": task_id,
        "messaging.destination.name": (request.delivery_info or {}).get("routing_key") or "",
    }
    span = tracer.start_span(f"run {task.name}", parent, SpanKind.CONSUMER, about)
    request.trace = (span, context.attach(trace.set_span_in_context(span)))


def _end(task: Any, state: str, retval: Any, **_: Any) -> None:
    span, token = task.request.trace
    span.set_attribute("celery.state", str(state))
    if isinstance(retval, Exception) and state in {FAILURE, RETRY}:
        span.record_exception(retval)
    if state == FAILURE:
        span.set_status(Status(StatusCode.ERROR, repr(retval)))
    context.detach(token)
    span.end()


def _mark_log_records() -> None:
    make = logging.getLogRecordFactory()

    def make_marked(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        found = trace.get_current_span().get_span_context()
        record.trace = f" trace_id={trace.format_trace_id(found.trace_id)}" if found.is_valid else ""
        return record

    logging.setLogRecordFactory(make_marked)
