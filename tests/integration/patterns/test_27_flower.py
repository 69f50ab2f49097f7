"""Flower, behind a login."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.conftest import PASSWORD
from tests.integration.patterns.commands import celery_runtime
from tests.ports import free_port

COUNT = "app.tasks.faults.count"


@pytest.fixture
def flower(service, secrets):
    """Its address, as a process of the service; workers send it an event for each task meanwhile."""
    port = free_port()
    variables = {"FLOWER_PORT": port, "FLOWER_PASSWORD_FILE": secrets / "flower_password"}
    service.start("flower", ["-m", "celery_runtime", "flower"], **variables)
    yield f"http://127.0.0.1:{port}"
    service.stop("flower")
    celery_runtime(service, "events off --wait 0.5")


def test_row_27_flower_shows_workers_and_tasks_to_who_logs_in(service, flower, eventually):
    def ask(path, password=None):
        login = ("admin", password) if password else None
        return httpx.get(flower + path, auth=login, trust_env=False, timeout=10)

    def healthy():
        try:
            return ask("/healthcheck").text == "OK"
        except httpx.TransportError:
            return False

    eventually(healthy, "Flower to answer")
    for path in ("/", "/workers", "/tasks", "/api/workers", "/api/tasks"):
        assert ask(path).status_code == 401, path
        assert ask(path, "wrong").status_code == 401, path
    assert "Flower</title>" in ask("/workers", PASSWORD).text

    celery_runtime(service, "events on --wait 0.5")
    service.fault("count")
    eventually(lambda: COUNT in {task["name"] for task in ask("/api/tasks", PASSWORD).json().values()}, "the task")

    def workers():
        return {name.partition("@")[0] for name in ask("/api/workers?status=1", PASSWORD).json()}

    eventually(lambda: workers() >= {"default", "media", "ai", "email", "backup"}, "every worker")
