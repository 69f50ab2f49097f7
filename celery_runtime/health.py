"""Tell a platform whether a worker or Beat is alive and whether it is ready, without touching the broker.

`celery inspect ping` imports the app, needs the broker (so that a broker's outage restarts every worker) and goes
unanswered while a worker is busy. Here the process answers over HTTP from a thread: `/livez` fails only when the
main loop is stuck, `/readyz` unless it is connected and consuming. Reconnecting and draining are alive.

Both rest on a loop that never waits for a silent broker, so the events that it sends itself are bounded here. Read in
Celery 5.7.0: celery/worker/heartbeat.py and celery/events/dispatcher.py (what is published from the loop, and how),
celery/worker/consumer/consumer.py, `start` and
`on_connection_error_after_connected` (where a connection error in the loop goes).
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from celery import Celery, bootsteps
from celery.events.dispatcher import EventDispatcher
from celery.signals import task_postrun, task_prerun
from kombu.common import ignore_errors

from celery_runtime import event_batches, forking, metrics
from celery_runtime.settings import ConfigError

TICK = 5  # seconds between two signs of life from the loop
STUCK_AFTER = 60  # seconds without a sign of life; a dozen missed ticks


Exposition = Callable[[str], tuple[bytes, str]]


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    RECONNECTING = "reconnecting"
    DRAINING = "draining"


class Pulse:
    """The last sign of life of a loop, and what it is doing; written by the loop, read by the server's thread."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.busy = False  # the loop itself runs a task, and cannot tick meanwhile
        self.on_change: list[Callable[[State], None]] = []
        self._last = time.monotonic()

    def tick(self) -> None:
        self._last = time.monotonic()

    def move(self, state: State) -> None:
        changed, self.state = self.state is not state, state
        self.tick()
        for tell in self.on_change if changed else ():
            tell(state)

    @property
    def age(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._last

    @property
    def alive(self) -> bool:
        """False only when a loop that should run does not; waiting for a broker is no reason to be restarted."""
        return self.busy or self.state is not State.READY or self.age < STUCK_AFTER

    @property
    def ready(self) -> bool:
        return self.state is State.READY and (self.busy or self.age < STUCK_AFTER)


def serve(pulse: Pulse, address: str, port: int, exposition: Exposition | None = None) -> ThreadingHTTPServer:
    """Answer /livez, /readyz and /metrics from a daemon thread; raises ConfigError when the port is taken.

    exposition: returns the body and the content type of /metrics for an Accept header; without it there is none.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {"/livez": pulse.alive, "/readyz": pulse.ready}
            if self.path == "/metrics" and exposition:
                self._answer(200, *self._numbers(exposition))
            elif self.path in answers:
                body = json.dumps({"state": pulse.state, "last_tick_seconds": round(pulse.age, 1)}).encode()
                self._answer(200 if answers[self.path] else 503, body, "application/json")
            else:
                self.send_error(404)

        @forking.hold_off()
        def _numbers(self, exposition: Exposition) -> tuple[bytes, str, str]:
            body, content_type = exposition(self.headers.get("Accept", ""))
            if "gzip" in self.headers.get("Accept-Encoding", ""):
                return gzip.compress(body, 1), content_type, "gzip"
            return body, content_type, ""

        def _answer(self, status: int, body: bytes, content_type: str, encoding: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            if encoding:
                self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes are not worth a line each."""

    check_port(address, port)
    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def check_port(address: str, port: int) -> None:
    """Raise ConfigError when `port` is taken: told before Celery starts, which would add a traceback."""
    try:
        socket.create_server((address, port)).close()
    except OSError as error:
        raise ConfigError(
            f"HEALTH_PORT = {port} on {address} cannot be used: {error.strerror}.\n"
            "  Choose a free port for each process on one host, or 0 for none."
        ) from None


class Dispatcher(EventDispatcher):  # type: ignore[misc]
    """Sends the worker's heartbeat for Flower out of its loop, and raises when the broker does not take it.

    Celery retries it for ever, and on RabbitMQ waits without a time-out until it is confirmed: with a silent broker
    the loop stood still in there, so that it neither noticed the loss nor ticked. An error that is raised makes the
    worker connect again; without confirms RabbitMQ's own heartbeats (10 s) find out that it is silent.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A producer's event is no reason to report that its task, which was sent before, was not.
        self.buffer_while_offline = not self._in_loop

    def enable(self) -> None:
        if self._in_loop and hasattr(self.connection.connection, "confirm_publish"):
            self.connection.connection.confirm_publish = False  # py-amqp looks when a channel opens
        super().enable()

    @property
    def takes_encoded(self) -> bool:
        """Whether events may be added to the buffer that are JSON already (celery_runtime.event_batches)."""
        return self._in_loop and self.serializer == "json"

    def _publish(self, event: Any, producer: Any, *args: Any, retry: bool = False, **kwargs: Any) -> None:
        if isinstance(event, list) and producer is not None and self.takes_encoded:
            event_batches.publish(self, event, producer, kwargs.get("routing_key") or args[0])
        else:
            super()._publish(event, producer, *args, retry=retry and not self._in_loop, **kwargs)

    @property
    def _in_loop(self) -> bool:
        """The worker's own dispatcher has a connection to itself; tasks bring a channel of the producers' pool."""
        return self.connection is not None and self.channel is None


def install_steps(app: Celery, pulse: Pulse, address: str, port: int, exposition: Exposition | None = None) -> None:
    """Let the workers of `app` keep `pulse` and answer for it on `port`; port 0 leaves the server out."""

    class Server(bootsteps.StartStopStep):  # type: ignore[misc]
        """Runs from the worker's start to its end, so that a worker without a broker answers too."""

        label = "Health server"
        requires = ("celery.worker.components:Timer",)

        def start(self, worker: Any) -> None:
            if port:
                self.http = serve(pulse, address, port, exposition)
            worker.timer.call_repeatedly(TICK, pulse.tick)
            if worker.pool_cls.__module__.endswith("solo"):
                _tick_around_tasks(pulse)

        def stop(self, worker: Any) -> None:
            pulse.move(State.DRAINING)

        def terminate(self, worker: Any) -> None:
            pulse.move(State.DRAINING)

    app.events.dispatcher_cls = Dispatcher
    app.steps["worker"].add(Server)
    app.steps["consumer"].add(_consuming(pulse))


def _consuming(pulse: Pulse) -> type:
    class Consuming(bootsteps.StartStopStep):  # type: ignore[misc]
        """Marks the time between a connection that is ready to consume and its end."""

        label = "Health state"
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, consumer: Any, **kwargs: Any) -> None:
            super().__init__(consumer, **kwargs)
            _tell_of_losses(consumer, pulse)

        def start(self, consumer: Any) -> None:
            if pulse.state is State.RECONNECTING:
                metrics.count("reconnects")
            pulse.move(State.READY)

        def stop(self, consumer: Any) -> None:
            stopping = consumer.controller and consumer.controller.blueprint.state == bootsteps.TERMINATE
            if stopping or consumer.blueprint.state in (bootsteps.CLOSE, bootsteps.TERMINATE):
                pulse.move(State.DRAINING)

    return Consuming


def _tell_of_losses(consumer: Any, pulse: Pulse) -> None:
    """Move `pulse` before the consumer cleans up, which asks the silent broker a few more times: 25 s in all."""
    clean_up = consumer.on_connection_error_after_connected

    def lose(error: Exception) -> None:
        pulse.move(State.RECONNECTING)
        if consumer.event_dispatcher:  # none yet when the connection is lost early
            consumer.event_dispatcher.disable()  # or it would try to send that this worker is offline
            # Closed politely, its own connection to RabbitMQ would wait without end for a silent broker's answer.
            ignore_errors(consumer, consumer.event_dispatcher.connection.collect)
        clean_up(error)

    consumer.on_connection_error_after_connected = lose


def _tick_around_tasks(pulse: Pulse) -> None:
    """The solo pool runs a task in the loop itself: a worker that is busy with one counts as alive."""

    def begin(**_: Any) -> None:
        pulse.busy = True

    def end(**_: Any) -> None:
        pulse.busy = False
        pulse.tick()

    task_prerun.connect(begin, weak=False)
    task_postrun.connect(end, weak=False)
