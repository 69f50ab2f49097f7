"""Row 30: what GET /healthz?deep=1 says of a system that is whole, that lacks a part, and whose servers hang."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from celery_runtime.queues import load_queues
from tests.integration.conftest import PASSWORD
from tests.integration.patterns.commands import celery_runtime
from tests.integration.processes import ROOT
from tests.integration.test_outages import pausing

QUEUES = load_queues(ROOT / "queues.toml")
ANSWERED = 4  # seconds for any answer: twice what is promised, on a busy machine; what hangs takes ten
ASKING = 8
APP = "from app.celery import app; "
on_redis = pytest.mark.parametrize("broker", ["redis"], indirect=True)  # RabbitMQ counts its consumers itself


@pytest.fixture(scope="module")
def beat(service):
    service.start_beat("beat")
    service.wait(lambda: service.health("beat", "ready"), "Beat to tick")
    yield
    if "beat" in service.processes:
        service.stop("beat")


def deep(service):
    began = time.monotonic()
    answer = service.api.get("/healthz", params={"deep": 1})
    assert time.monotonic() - began < ANSWERED
    return answer.status_code, answer.json()


def wait_for(service, status, what):
    seen = []

    def reached():
        seen[:] = [deep(service)[1]]
        return seen[0]["status"] == status

    try:
        service.wait(reached, what, 30)
    except AssertionError as error:
        pytest.fail(f"{seen}\n{error}")


def python(service, code):
    service.run(code, [sys.executable, "-c", APP + code])


def test_row_30_a_whole_system_is_ok(service, beat):
    wait_for(service, "ok", "everything")
    code, health = deep(service)

    assert code == 200 and health["problems"] == []
    assert {name: queue["consumers"] for name, queue in health["queues"].items()} == dict.fromkeys(QUEUES, 1)
    assert all(health[part]["ok"] for part in ("broker", "results", "database", "beat"))
    assert 0 <= health["beat"]["last_tick_seconds"] < 20


def test_row_30_a_killed_worker_is_missed_where_something_waits_although_its_queue_may_scale_to_zero(service, beat):
    media = service.processes.pop("worker-media")
    media.kill()
    media.wait()
    try:
        service.wait(lambda: deep(service)[1]["queues"]["media"]["consumers"] == 0, "the worker to be gone")
        assert deep(service)[1]["status"] == "ok"

        batch = service.fault("count", count=2, queue="media")["batch"]
        code, health = deep(service)
        assert code == 503
        assert health["problems"] == ["queue media: 2 messages wait, and no worker consumes it"]
    finally:
        service.start_worker("media")
    service.wait(lambda: service.ledger(batch)["ended"] == 2, "the worker that is back")
    wait_for(service, "ok", "the worker to be counted again")


@on_redis
def test_row_30_a_queue_that_a_worker_is_told_to_leave_is_not_counted(service, beat):
    python(service, "app.control.cancel_consumer('ai')")
    wait_for(service, "failing", "the queue to be left")
    assert deep(service)[1]["problems"] == ["queue ai: no worker consumes it"]

    answering = f"app.control.inspect(limit={len(QUEUES)}, timeout=20).ping()"
    python(service, f"app.control.add_consumer('ai', destination=[n for n in {answering} if n.startswith('ai')])")
    wait_for(service, "ok", "the queue to be taken up again")


@on_redis
def test_row_30_a_worker_that_drains_is_not_counted(service, beat):
    batch = service.fault("sleep", seconds=8, queue="ai")["batch"]
    service.wait(lambda: service.ledger(batch)["started"] == 1, "the task to run")
    worker = service.processes["worker-ai"]
    try:
        worker.terminate()
        service.wait(lambda: deep(service)[1]["queues"]["ai"]["consumers"] == 0, "the worker to take nothing more")
        assert worker.poll() is None and service.ledger(batch)["ended"] == 0
        assert service.stop("worker-ai") == 0
    finally:
        service.start_worker("ai")
    wait_for(service, "ok", "the worker that is back")


def test_row_30_dead_letters_are_named_and_no_reason_to_fail(service, beat):
    python(service, "app.send_task('app.gone', queue='default')")
    try:
        wait_for(service, "degraded", "the dead letter")
        code, health = deep(service)
        assert code == 200 and health["problems"] == ["queue default: dead letters: 1"]
    finally:
        (purged,) = celery_runtime(service, "dead-letters purge --queue default --yes")
    assert purged.code == 0, purged.err
    assert deep(service)[1]["status"] == "ok"


@on_redis
def test_row_30_a_beat_that_ended_is_missed(service, beat):
    service.stop("beat")
    try:
        code, health = deep(service)
        assert code == 503 and health["problems"] == ["beat: none runs"]
        assert health["beat"] == health["beat"] | {"ok": False, "last_tick_seconds": None}
    finally:
        service.start_beat("beat")
    wait_for(service, "ok", "Beat to tick again")


@pytest.mark.parametrize("server", ["broker", "postgres"])
def test_row_30_a_server_that_hangs_is_named_in_time_however_many_ask(service, beat, broker, server, request):
    container = request.getfixturevalue(broker if server == "broker" else server)[0]
    missing = {"broker"} if broker == "rabbitmq" else {"broker", "results", "beat"}
    with pausing(container), ThreadPoolExecutor(ASKING) as clients:
        answers = list(clients.map(lambda _: deep(service), range(ASKING)))
        assert service.api.get("/healthz").json() == {"status": "ok"}

    for code, health in answers:
        assert code == 503
        named = {problem.partition(":")[0] for problem in health["problems"]}
        assert named >= (missing if server == "broker" else {"database"})
        assert PASSWORD not in str(health) and "celery@" not in str(health) and "127.0.0.1" not in str(health)
    wait_for(service, "ok", "everything to be back")
