"""The tracer of a process is for ever: what starts one does so in a process of its own, which has OpenTelemetry."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from celery import Celery

from celery_runtime import tracing
from celery_runtime.settings import ConfigError
from tests.otlp import PYTHON, Collector

ROOT = Path(__file__).parents[4]


def run(script, code=0, **variables):
    """Run a process to its end; returns what it wrote to both outputs."""
    environment = {"PATH": os.environ["PATH"], "QUEUES_FILE": str(ROOT / "queues.toml")} | variables
    command = [PYTHON, "-c", script]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


def test_without_a_collector_nothing_of_opentelemetry_is_imported():
    script = """
import sys
from celery import Celery
from celery_runtime import install, tracing
app = install(Celery("app"))
assert not tracing.is_on()
assert tracing.with_trace("x") == "x" and tracing.carry({"queue": "a"}) == {"queue": "a"}
assert "celery_runtime.tracing.spans" not in sys.modules
assert "trace" not in app.conf.worker_log_format
"""
    run(script)


def test_where_opentelemetry_is_not_installed_the_remedy_is_told():
    with pytest.raises(ConfigError, match=r"(?s)'http://c:4318' needs OpenTelemetry.*pip install 'celery-runtime\[tra"):
        tracing.install(Celery("app"), "http://c:4318")
    assert not tracing.is_on()


@pytest.mark.parametrize("url", ["collector:4318", "ftp://collector"])
def test_a_url_that_is_none_is_refused_at_the_start(url):
    script = "from celery import Celery; from celery_runtime import install; install(Celery('app'))"
    assert f"TRACING_URL = {url!r} is not valid" in run(script, code=1, TRACING_URL=url)


def test_a_parent_and_its_child_send_their_spans_over_connections_of_their_own():
    script = """
import os
from celery_runtime.tracing import spans
spans.start("app", os.environ["TRACING_URL"])
with spans.tracer.start_as_current_span("before"):
    pass
spans.trace.get_tracer_provider().force_flush()
if not (pid := os.fork()):
    with spans.tracer.start_as_current_span("child"):
        pass
    spans.trace.get_tracer_provider().force_flush()
    os._exit(0)
os.waitpid(pid, 0)
with spans.tracer.start_as_current_span("after"):
    pass
"""
    with Collector() as collector:
        run(script, TRACING_URL=collector.url)
        assert sorted(span.name for span in collector.spans) == ["after", "before", "child"]
        assert len(collector.peers) >= 2


def test_a_publishing_that_fails_ends_its_span_and_what_follows_is_not_part_of_it():
    script = """
from celery import Celery
from celery_runtime import install
from celery_runtime.publishing import publish
from celery_runtime.tracing import spans
app = install(Celery("app"))
for _ in range(2):
    try:
        app.send_task("app.unknown", [object()])
    except Exception as error:
        print(type(error).__name__)
assert not spans.trace.get_current_span().get_span_context().is_valid
with spans.tracer.start_as_current_span("request"):
    try:
        publish(app, [app.signature("app.other", [object()], task_id="1")])
    except Exception as error:
        print(type(error).__name__)
"""
    with Collector() as collector:
        assert run(script, TRACING_URL=collector.url).split() == ["EncodeError"] * 3
        first, second = (span for span in collector.spans if span.name == "publish app.unknown")
        assert first.trace != second.trace and first.failed and second.failed
        (request,) = (span for span in collector.spans if span.name == "request")
        assert collector.of(request.trace)["publish app.other"].parent == request.id


def test_a_format_of_the_apps_own_stays_and_lines_outside_a_trace_have_no_id():
    script = """
import logging
from celery import Celery
from celery_runtime import install, tracing
app = Celery("app")
app.conf.worker_log_format = '{"text": "%(message)s"}'
install(app)
assert app.conf.worker_log_format == '{"text": "%(message)s"}'
assert app.conf.worker_task_log_format.endswith(tracing.FIELD)
logging.basicConfig(format=tracing.with_trace("%(message)s"))
logging.warning("outside")
with tracing._spans.tracer.start_as_current_span("inside"):
    logging.warning("inside")
"""
    with Collector() as collector:
        said = run(script, TRACING_URL=collector.url).splitlines()
        (span,) = collector.spans
    assert said == ["outside", f"inside trace_id={span.trace}"]
