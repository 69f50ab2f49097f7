"""What a collector gets to see of tasks: one trace from the request to its last task."""

from __future__ import annotations

import re
import secrets

import pytest
from celery import chain

from tests.integration.conftest import on_each_pool
from tests.integration.processes import Service
from tests.integration.runtime_worker import RuntimeWorker
from tests.otlp import PYTHON, Collector


@pytest.fixture
def on_broker(broker, request):
    return request.getfixturevalue(f"on_{broker}")


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture
def trace():
    """The trace and the span of somebody who asks for tasks, as W3C's header has them."""
    return secrets.token_hex(16), secrets.token_hex(8)


def traced(folder, environment, url, **options):
    """A worker that sends its spans to `url`."""
    return RuntimeWorker(folder, environment, program=(PYTHON, "-m", "celery_runtime"), TRACING_URL=url, **options)


def header(trace):
    return {"traceparent": f"00-{trace[0]}-{trace[1]}-01"}


@on_each_pool
def test_a_chain_with_a_retry_and_a_failure_is_one_trace(tmp_path, on_broker, pool, collector, trace, monkeypatch):
    concurrency = 1 if pool == "solo" else 2
    queues = f"[queues.anyapp]\npool = '{pool}'\nconcurrency = {concurrency}\n"
    with traced(tmp_path, on_broker, collector.url, queues=queues) as worker:
        producer = worker.producer(monkeypatch)
        tasks = [producer.signature("anyapp.add", [1, 2]), producer.signature("anyapp.sleep", [0.1], immutable=True)]
        last = producer.signature("anyapp.retry", immutable=True)
        sent = chain(*tasks, last).apply_async(headers=header(trace))
        runs = {f"run anyapp.{name}" for name in ("add", "sleep", "retry")}
        worker.wait(lambda: runs <= set(collector.of(trace[0])), "the spans of the chain")

        def tries():  # the second may end before the first does, which publishes it
            retried = [span for span in collector.spans if span.name == "run anyapp.retry"]
            return sorted((span.attributes["celery.retries"], span.failed) for span in retried)

        worker.wait(lambda: tries() == [(0, False), (1, True)], "a try that is repeated and one that fails")
        found = collector.of(trace[0])
        assert found["run anyapp.add"].parent == trace[1]
        assert found["publish anyapp.sleep"].parent == found["run anyapp.add"].id
        assert found["run anyapp.sleep"].parent == found["publish anyapp.sleep"].id
        assert found["run anyapp.sleep"].attributes["messaging.destination.name"] == "anyapp"
        assert found["run anyapp.retry"].attributes["messaging.message.id"] == sent.id
        assert {span.service for span in found.values()} == {"anyapp"}
        assert re.search(rf"Task anyapp\.add\[.*succeeded.* trace_id={trace[0]}\n", worker.log())
        producer.close()


def test_what_is_not_traced_has_a_trace_of_its_own(tmp_path, on_redis, collector, monkeypatch):
    with traced(tmp_path, on_redis, collector.url, OTEL_SERVICE_NAME="shop") as worker:
        producer = worker.producer(monkeypatch)
        for _ in range(5):  # two children: one of them runs several
            producer.send_task("anyapp.add", [1, 2])
        worker.wait(lambda: len(collector.spans) == 5, "every span")
        assert len({span.trace for span in collector.spans}) == 5
        assert {(span.service, span.parent) for span in collector.spans} == {("shop", "")}
        assert len(collector.peers) <= 2  # a connection for each pool child
        producer.close()


def test_a_worker_without_its_collector_works_and_stops_in_time(tmp_path, on_redis, monkeypatch):
    with traced(tmp_path, on_redis, "http://127.0.0.1:1") as worker:
        producer = worker.producer(monkeypatch)
        assert producer.send_task("anyapp.add", [1, 2]).get(timeout=30) == 3
        worker.process.terminate()
        assert worker.process.wait(15) == 0
        producer.close()


@pytest.mark.parametrize("broker", ["redis"], scope="session")
def test_a_post_is_one_trace_from_its_request_through_the_outbox_to_its_tasks(environment, collector, tmp_path):
    redis = f"{environment['REDIS_URL'].rpartition('/')[0]}/3"
    app = Service(environment | {"REDIS_URL": redis, "TRACING_URL": collector.url}, tmp_path, PYTHON)
    try:
        app.start_all()
        user = app.api.post("/users", json={"name": "Ada", "email": f"{secrets.token_hex(4)}@example.org"})
        post = app.api.post("/posts", json={"user_id": user.json()["id"], "body": "The Earth is round."})
        assert post.status_code == 201, post.text
        app.wait(lambda: "run app.tasks.notices.tell_verdict" in seen(collector, "POST /posts"), "the last task's span")
    finally:
        app.stop_all()

    found = seen(collector, "POST /posts")
    assert found["run app.tasks.ai.check_facts"].parent == found["publish app.tasks.ai.check_facts"].id
    assert not any(name.endswith(("/healthz", "/metrics")) for name in {span.name for span in collector.spans})
    assert f"trace_id={found['POST /posts'].trace}" in app.log("worker-ai")


def seen(collector, name):
    """The spans of the trace that the last request of this name began."""
    begun = [span.trace for span in list(collector.spans) if span.name == name]
    return collector.of(begun[-1]) if begun else {}
