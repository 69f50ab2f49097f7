from __future__ import annotations

import pytest

from celery_runtime import health
from celery_runtime.health import Pulse, State, serve
from celery_runtime.probe import probe
from celery_runtime.settings import ConfigError


@pytest.fixture
def pulse(monkeypatch):
    pulse = Pulse()
    server = serve(pulse, "127.0.0.1", 0)
    monkeypatch.setenv("HEALTH_PORT", str(server.server_port))
    yield pulse
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("state", "live", "ready"),
    [
        (State.STARTING, True, False),
        (State.READY, True, True),
        (State.RECONNECTING, True, False),
        (State.DRAINING, True, False),
    ],
)
def test_only_a_consuming_worker_is_ready_and_all_are_alive(pulse, state, live, ready):
    pulse.move(state)

    assert (probe("live")[0], probe("ready")[0]) == (live, ready)


def test_a_loop_without_ticks_is_dead(pulse, monkeypatch):
    pulse.move(State.READY)
    monkeypatch.setattr(health, "STUCK_AFTER", 0)

    assert probe("live")[0] is False
    assert probe("ready")[0] is False


def test_a_broker_that_is_away_for_long_kills_no_worker(pulse, monkeypatch):
    pulse.move(State.RECONNECTING)
    monkeypatch.setattr(health, "STUCK_AFTER", 0)

    assert probe("live")[0] is True


def test_a_loop_that_runs_a_task_itself_is_alive(pulse, monkeypatch):
    pulse.move(State.READY)
    pulse.busy = True
    monkeypatch.setattr(health, "STUCK_AFTER", 0)

    assert probe("live")[0] is True


def test_the_answer_says_what_the_worker_is_doing(pulse):
    pulse.move(State.DRAINING)

    assert '"state": "draining"' in probe("live")[1]


def test_other_paths_and_addresses_are_not_healthy(pulse, monkeypatch):
    assert probe("http://127.0.0.1:1/")[0] is False
    assert "is not an address" in probe("alive")[1]
    monkeypatch.setenv("HEALTH_PORT", "many")
    assert "is not an address" in probe("live")[1]


def test_a_taken_port_is_a_clear_error():
    server = serve(Pulse(), "127.0.0.1", 0)
    try:
        with pytest.raises(ConfigError, match=f"HEALTH_PORT = {server.server_port} .*in use(.|\n)*free port"):
            serve(Pulse(), "127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
