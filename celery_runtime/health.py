"""Tell a platform whether a worker or Beat is alive and whether it is ready, without touching the broker.

`celery inspect ping` imports the app, needs the broker (so that a broker's outage restarts every worker) and goes
unanswered while a worker is busy. Here the process answers over HTTP from a thread: `/livez` fails only when the
main loop is stuck, `/readyz` unless it is connected and consuming. Reconnecting and draining are alive.
"""

from __future__ import annotations

import json
import threading
import time
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from celery import Celery, bootsteps
from celery.signals import task_postrun, task_prerun

from celery_runtime.settings import ConfigError

TICK = 5  # seconds between two signs of life from the loop
STUCK_AFTER = 60  # seconds without a sign of life; a dozen missed ticks


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
        self._last = time.monotonic()

    def tick(self) -> None:
        self._last = time.monotonic()

    def move(self, state: State) -> None:
        self.state = state
        self.tick()

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


def serve(pulse: Pulse, address: str, port: int) -> ThreadingHTTPServer:
    """Answer /livez and /readyz from a daemon thread; raises ConfigError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {"/livez": pulse.alive, "/readyz": pulse.ready}
            if self.path not in answers:
                self.send_error(404)
                return
            body = json.dumps({"state": pulse.state, "last_tick_seconds": round(pulse.age, 1)}).encode()
            self.send_response(200 if answers[self.path] else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes are not worth a line each."""

    try:
        server = ThreadingHTTPServer((address, port), Handler)
    except OSError as error:
        raise ConfigError(
            f"HEALTH_PORT = {port} on {address} cannot be used: {error.strerror}.\n"
            "  Choose a free port for each process on one host, or 0 for none."
        ) from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def install_steps(app: Celery, pulse: Pulse, address: str, port: int) -> None:
    """Let the workers of `app` keep `pulse` and answer for it on `port`; port 0 leaves the server out."""

    class Server(bootsteps.StartStopStep):  # type: ignore[misc]
        """Runs from the worker's start to its end, so that a worker without a broker answers too."""

        label = "Health server"
        requires = ("celery.worker.components:Timer",)

        def start(self, worker: Any) -> None:
            if port:
                self.http = serve(pulse, address, port)
            worker.timer.call_repeatedly(TICK, pulse.tick)
            if worker.pool_cls.__module__.endswith("solo"):
                _tick_around_tasks(pulse)

        def stop(self, worker: Any) -> None:
            pulse.move(State.DRAINING)

        def terminate(self, worker: Any) -> None:
            pulse.move(State.DRAINING)

    class Consuming(bootsteps.StartStopStep):  # type: ignore[misc]
        """Marks the time between a connection that is ready to consume and its end."""

        label = "Health state"
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, consumer: Any) -> None:
            pulse.move(State.READY)

        def stop(self, consumer: Any) -> None:
            stopping = consumer.controller and consumer.controller.blueprint.state == bootsteps.TERMINATE
            closing = consumer.blueprint.state in (bootsteps.CLOSE, bootsteps.TERMINATE)
            pulse.move(State.DRAINING if stopping or closing else State.RECONNECTING)

    app.steps["worker"].add(Server)
    app.steps["consumer"].add(Consuming)


def _tick_around_tasks(pulse: Pulse) -> None:
    """The solo pool runs a task in the loop itself: a worker that is busy with one counts as alive."""

    def begin(**_: Any) -> None:
        pulse.busy = True

    def end(**_: Any) -> None:
        pulse.busy = False
        pulse.tick()

    task_prerun.connect(begin, weak=False)
    task_postrun.connect(end, weak=False)
