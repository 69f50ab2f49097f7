from __future__ import annotations

import pytest
from celery import Celery

from celery_runtime import install
from celery_runtime.redis_store import redis_of

ELSEWHERE = "cache+memory://"


@pytest.fixture
def app(monkeypatch, tmp_path):
    (tmp_path / "queues.toml").write_text("[queues.default]\n")
    monkeypatch.setenv("QUEUES_FILE", str(tmp_path / "queues.toml"))
    monkeypatch.setenv("REDIS_URL", "redis://locks.example:6379/3")
    return Celery("some-app", set_as_current=False)


def server(client):
    told = client.connection_pool.connection_kwargs
    return told["host"], told["db"]


def test_locks_are_in_the_runtimes_redis_wherever_the_results_are(app):
    app.conf.result_backend = ELSEWHERE
    install(app)

    assert app.conf.result_backend == ELSEWHERE
    assert server(redis_of(app)) == ("locks.example", 3)
    assert redis_of(app) is redis_of(app)


def test_results_in_the_runtimes_redis_share_its_connections(app):
    assert redis_of(install(app)) is app.backend.client


@pytest.mark.parametrize("results", [ELSEWHERE, None])
def test_locks_are_found_through_sentinel_too(app, monkeypatch, results):
    monkeypatch.setenv("REDIS_URL", "sentinel://celery@a.example:26379/3;sentinel://celery@b.example:26379/3")
    monkeypatch.setenv("REDIS_MASTER", "main")
    app.conf.result_backend = results
    install(app)

    pool = redis_of(app).connection_pool
    assert pool.service_name == "main" and pool.connection_kwargs["db"] == 3
