from __future__ import annotations

import pytest

from celery_runtime.sentinel import redbeat_options, transport_options
from celery_runtime.settings import RuntimeSettings, load


@pytest.fixture
def settings(monkeypatch, tmp_path):
    (tmp_path / "servers").write_text("p@ss")
    (tmp_path / "sentinels").write_text("watch")
    monkeypatch.setenv("REDIS_URL", "sentinel://celery@a:26380/2;sentinel://celery@b/2")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "servers"))
    monkeypatch.setenv("SENTINEL_PASSWORD_FILE", str(tmp_path / "sentinels"))
    monkeypatch.setenv("REDIS_MASTER", "queues")
    return load(RuntimeSettings)


def test_broker_and_results_are_found_through_the_sentinels(settings):
    assert settings.redis == "sentinel://celery:p%40ss@a:26380/2;sentinel://celery:p%40ss@b/2"
    assert transport_options(settings) == {"master_name": "queues", "sentinel_kwargs": {"password": "watch"}}


def test_so_is_the_schedule(settings):
    options = redbeat_options(settings)["redbeat_redis_options"]

    assert options["sentinels"] == [("a", 26380), ("b", 26379)]
    assert (options["service_name"], options["db"]) == ("queues", 2)
    assert (options["username"], options["password"]) == ("celery", "p@ss")


def test_a_plain_server_needs_none_of_it():
    settings = load(RuntimeSettings)

    assert transport_options(settings) == {}
    assert redbeat_options(settings) == {"redbeat_redis_url": "redis://127.0.0.1:6379/0"}
