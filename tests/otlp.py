"""Where spans go in tests: takes OTLP over HTTP as OpenTelemetry's own collector does, and keeps what it got.

What sends them runs with PYTHON: OpenTelemetry's SDK is installed apart, as in the image.
"""

from __future__ import annotations

import gzip
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.serving import Serving

PYTHON = str(Path(__file__).parents[1] / ".venv-tracing/bin/python")


class Span(NamedTuple):
    """One span; ids in hexadecimal digits, `parent` empty for the first of a trace."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, object]
    failed: bool


class Collector(Serving):
    """`spans` is what it got, `peers` are the connections that it came over."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Span] = []
        self.peers: set[tuple[str, int]] = set()
        super().__init__(self._handler(), port)

    def of(self, trace: str) -> dict[str, Span]:
        """The spans of a trace by their names; the last one where several have a name."""
        return {span.name: span for span in list(self.spans) if span.trace == trace}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.path == "/v1/traces", self.path
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.peers.add(self.client_address)
                collector.spans += spans(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        Span(
            attributes(resource.resource)["service.name"],
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            attributes(span),
            span.status.code == span.status.STATUS_CODE_ERROR,
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def attributes(of: object) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}
