"""What producers, workers, Beat and migrations do while something they need is away."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.integration.processes import PHOTO, ROOT

BOUND = 10  # seconds within which a web request that cannot be served is told so


@pytest.fixture
def paused(broker, request):
    """The broker's container, stopped in its tracks: connections stay open and nothing answers."""
    container, _ = request.getfixturevalue(broker)
    container.pause()
    yield container
    container.reload()
    if container.status == "paused":
        container.unpause()


def test_a_request_is_told_within_ten_seconds_and_leaves_no_picture_behind(service, paused):
    began = time.monotonic()
    answer = service.api.post("/images", files={"file": ("photo.jpg", PHOTO.read_bytes())})
    took = time.monotonic() - began

    assert answer.status_code == 503, answer.text
    assert answer.json()["remedy"] and took < BOUND


def test_workers_stay_alive_and_go_on_when_the_broker_is_back(service, paused):
    assert service.health("worker-default", "live")
    paused.unpause()

    batch = service.fault("count", count=100)["batch"]
    service.wait(lambda: service.ledger(batch)["ended"] == 100, "100 tasks after the outage", 120)
    assert service.ledger(batch)["doubled"] == 0


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


def test_of_two_beats_one_holds_the_schedule_and_both_are_alive(service):
    service.start_beat("beat-1")
    service.wait(lambda: service.health("beat-1", "ready"), "the first Beat to tick")
    service.start_beat("beat-2")
    service.wait(lambda: service.health("beat-2", "live"), "the second Beat to answer")

    assert not service.health("beat-2", "ready")
    assert service.stop("beat-1") == 0
    service.wait(lambda: service.health("beat-2", "ready"), "the second Beat to take over")
    assert service.stop("beat-2") == 0


def test_no_log_holds_a_password(service):
    for log in service.logs.glob("*.log"):
        assert "integration" not in log.read_text(errors="replace").replace("tests/integration", ""), log.name
