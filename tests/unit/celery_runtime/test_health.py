from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest
from celery import Celery, bootsteps

from celery_runtime import health
from celery_runtime.health import Dispatcher, Pulse, State, serve
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


def test_metrics_are_compressed_for_whoever_asks_for_it():
    server = serve(Pulse(), "127.0.0.1", 0, lambda accept: (b"celery_slots 2\n" * 100, f"text/plain; of={accept}"))
    url = f"http://127.0.0.1:{server.server_port}/metrics"
    try:
        plain = httpx.get(url, headers={"Accept": "a/b", "Accept-Encoding": "identity"}, trust_env=False)
        small = httpx.get(url, headers={"Accept": "a/b", "Accept-Encoding": "gzip"}, trust_env=False)
    finally:
        server.shutdown()
        server.server_close()

    assert plain.text == small.text == "celery_slots 2\n" * 100
    assert small.headers["Content-Encoding"] == "gzip" and int(small.headers["Content-Length"]) < 100
    assert plain.headers["Content-Type"] == small.headers["Content-Type"] == "text/plain; of=a/b"


def test_a_taken_port_is_a_clear_error():
    server = serve(Pulse(), "127.0.0.1", 0)
    try:
        with pytest.raises(ConfigError, match=f"HEALTH_PORT = {server.server_port} .*in use(.|\n)*free port"):
            serve(Pulse(), "127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        server.server_close()


class Producer:
    """kombu's producer on a broker that is away."""

    def __init__(self):
        self.options = None

    def publish(self, event, **options):
        self.options = options
        raise ConnectionResetError


def dispatcher(**channel):
    app = Celery(set_as_current=False, broker="memory://")
    connection = app.connection_for_write()
    connection.connect()
    connection.connection.confirm_publish = True
    made = Dispatcher(connection, app=app, **channel)
    made.producer = Producer()
    return made


def test_the_loop_sends_its_heartbeat_once_unconfirmed_and_hears_of_the_error():
    heartbeat = dispatcher()

    assert heartbeat.connection.connection.confirm_publish is False
    with pytest.raises(ConnectionResetError):
        heartbeat.send("worker-heartbeat", retry=True)
    assert heartbeat.producer.options["retry"] is False
    assert not heartbeat._outbound_buffer


def test_the_events_of_tasks_keep_their_retries_and_their_connections_confirms():
    events = dispatcher(channel=object())

    assert events.connection.connection.confirm_publish is True
    events.send("task-progress", retry=True)  # whoever sends a task is not told that its event could not be sent
    assert events.producer.options["retry"] is True
    assert len(events._outbound_buffer) == 1


class Consumer:
    """Celery's consumer, as far as its steps see it; `calls` tells what its clean-up found."""

    def __init__(self, pulse):
        self.pulse = pulse
        self.calls = []
        self.controller = None
        self.blueprint = SimpleNamespace(state=bootsteps.RUN)
        self.connection_errors = self.channel_errors = ()
        self.event_dispatcher = SimpleNamespace(
            disable=lambda: self.calls.append("disabled"),
            connection=SimpleNamespace(collect=lambda: self.calls.append("cut")),
        )

    def on_connection_error_after_connected(self, error):
        self.calls.append(self.pulse.state)


def test_a_lost_connection_is_told_before_the_clean_up_waits_for_the_broker():
    pulse = Pulse()
    app = Celery(set_as_current=False)
    health.install_steps(app, pulse, "127.0.0.1", 0)
    (step,) = app.steps["consumer"]
    consumer = Consumer(pulse)
    consuming = step(consumer)

    consuming.start(consumer)
    assert pulse.ready
    consumer.on_connection_error_after_connected(OSError())
    consuming.stop(consumer)
    assert consumer.calls == ["disabled", "cut", State.RECONNECTING]
    assert pulse.state is State.RECONNECTING

    consumer.event_dispatcher = None  # lost while it connects
    consumer.on_connection_error_after_connected(OSError())
    assert pulse.state is State.RECONNECTING

    consumer.blueprint.state = bootsteps.CLOSE
    consuming.stop(consumer)
    assert pulse.state is State.DRAINING
    assert issubclass(app.events.Dispatcher, Dispatcher)
