"""What producers, workers, Beat and migrations do while something they need is away."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.integration.conftest import rabbitmq_is_slow
from tests.integration.processes import PHOTO, ROOT

BOUND = 10  # seconds within which a web request that cannot be served is told so
# Seconds of silence within which no process is ready: RabbitMQ's heartbeats take up to 25, and a busy machine takes
# some for each process that asks.
NOTICED = 60
LONG = 75  # seconds; more than health.STUCK_AFTER, and than Beat's lock


@pytest.fixture
def paused(broker, request):
    """The broker's container, stopped in its tracks: connections stay open and nothing answers."""
    with pausing(request.getfixturevalue(broker)[0]) as container:
        yield container


@pytest.fixture
def beats(service):
    """Two Beats: the first has the schedule."""
    service.start_beat("beat-1")
    service.wait(lambda: service.health("beat-1", "ready"), "the first Beat to tick")
    service.start_beat("beat-2")
    service.wait(lambda: service.health("beat-2", "live"), "the second Beat to answer")
    yield "beat-1", "beat-2"
    for name in {"beat-1", "beat-2"} & set(service.processes):
        service.stop(name)


@contextmanager
def pausing(container):
    container.pause()
    try:
        yield container
    finally:
        container.reload()
        if container.status == "paused":
            container.unpause()


def test_a_request_is_told_within_ten_seconds_and_leaves_no_picture_behind(service, paused):
    began = time.monotonic()
    answer = service.api.post("/images", files={"file": ("photo.jpg", PHOTO.read_bytes())})
    took = time.monotonic() - began

    assert answer.status_code == 503, answer.text
    assert answer.json()["remedy"] and took < BOUND


def test_workers_without_their_broker_are_alive_and_not_ready_and_go_on_when_it_is_back(service, paused):
    workers = service.workers()
    service.wait(lambda: service.none_is("ready", workers), "the workers to miss their broker", NOTICED)
    assert service.all_are("live", workers)
    paused.unpause()

    service.wait(lambda: service.all_are("ready", workers), "the workers to be ready again")
    batch = service.fault("count", count=100)["batch"]
    service.wait(lambda: service.ledger(batch)["ended"] == 100, "100 tasks after the outage", 120)
    assert service.ledger(batch)["doubled"] == 0


@pytest.mark.slow
def test_no_worker_and_no_beat_is_restarted_in_a_long_outage_and_one_beat_goes_on(service, beats, paused):
    names = service.workers(*beats)
    began = time.monotonic()
    while time.monotonic() - began < LONG:
        assert service.all_are("live", names), f"{time.monotonic() - began:.0f} s\n{service.tails()}"
        time.sleep(5)
    assert service.none_is("ready", service.workers())
    paused.unpause()

    service.wait(lambda: service.all_are("ready", service.workers()), "the workers to be ready again")
    service.wait(lambda: not service.none_is("ready", beats), "a Beat to take the schedule")
    assert not service.all_are("ready", beats)


@rabbitmq_is_slow
def test_beat_without_redis_is_alive_and_not_ready_and_goes_on_when_it_is_back(service, beats, redis):
    beat = service.processes["beat-1"]
    with pausing(redis[0]):
        service.wait(lambda: not service.health("beat-1", "ready"), "Beat to miss Redis", NOTICED)
        assert service.all_are("live", beats)

    service.wait(lambda: not service.none_is("ready", beats), "a Beat to go on")
    assert not service.all_are("ready", beats)
    assert beat.poll() is None and "Traceback" not in service.log("beat-1")


@rabbitmq_is_slow
def test_beat_starts_without_redis_and_waits_for_it(service, redis):
    with pausing(redis[0]):
        service.start_beat("beat-early")
        service.wait(lambda: "Redis is away" in service.log("beat-early"), "Beat to say what it misses", NOTICED)
        assert service.health("beat-early", "live") and not service.health("beat-early", "ready")

    service.wait(lambda: service.health("beat-early", "ready"), "Beat to start")
    assert service.stop("beat-early") == 0


def test_a_worker_that_stands_still_is_not_alive(service):
    worker = service.processes["worker-default"]
    worker.send_signal(signal.SIGSTOP)
    try:
        assert not service.health("worker-default", "live")
    finally:
        worker.send_signal(signal.SIGCONT)
    service.wait(lambda: service.health("worker-default", "ready"), "the worker to go on")


@rabbitmq_is_slow
def test_any_number_of_replicas_may_migrate_at_once(service, postgres, broker):
    container, url = postgres
    sql = f"CREATE DATABASE {broker}_fresh"
    created = container.exec_run(["psql", "-U", "app", "-c", sql], environment={"PGPASSWORD": "integration"})
    assert created.exit_code == 0, created.output
    environment = service.environment | {"DATABASE_URL": f"{url.rpartition('/')[0]}/{broker}_fresh"}

    replicas = [
        subprocess.Popen([sys.executable, "-m", "app.migrate"], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    try:
        errors = [replica.communicate(timeout=60)[1].decode() for replica in replicas]
    finally:
        for replica in replicas:
            replica.kill()
            replica.wait()
            replica.stderr.close()
    assert [replica.returncode for replica in replicas] == [0, 0, 0, 0], errors


@rabbitmq_is_slow
def test_of_two_beats_one_holds_the_schedule_and_both_are_alive(service, beats):
    assert not service.health("beat-2", "ready")
    assert service.stop("beat-1") == 0
    service.wait(lambda: service.health("beat-2", "ready"), "the second Beat to take over")
    assert service.stop("beat-2") == 0


@rabbitmq_is_slow
def test_beat_can_be_stopped_without_redis(service, redis):
    service.start_beat("beat-late")
    service.wait(lambda: service.health("beat-late", "ready"), "Beat to tick")
    with pausing(redis[0]):
        assert service.stop("beat-late", 20) == 0


def test_no_log_holds_a_password(service):
    for log in service.logs.glob("*.log"):
        assert "integration" not in log.read_text(errors="replace").replace("tests/integration", ""), log.name
