from __future__ import annotations

import pytest

from app.api import schedule


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No Redis: nothing listens on port 1."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    schedule.schedule.cache_clear()
    yield
    schedule.schedule.cache_clear()
    for name in ("redbeat_redis", "redbeat_conf"):
        vars(schedule.app).pop(name, None)


@pytest.mark.parametrize(("method", "path"), [("GET", "/schedule"), ("POST", "/schedule/daily-report/run")])
def test_without_redis_the_answer_is_that_it_is_away(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 503 and "does not answer" in answer.json()["error"]


def test_a_name_that_is_too_long_is_no_entry(client):
    assert client.post(f"/schedule/{'x' * 101}/run").status_code == 422
