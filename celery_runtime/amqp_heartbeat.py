"""Keep RabbitMQ's connections alive while the solo pool runs a task.

The solo pool runs a task in the loop that sends the heartbeats. A task that is longer than two of them lost the
connection, and the message went to the next worker: a task of 20 s at a heartbeat of 4 s was started three times. Here
a thread sends them while a task runs, and only then: the connections belong to the loop otherwise. A task that holds
Python's interpreter lock for longer than two heartbeats still loses its connection.

Read in py-amqp 5.4.2: amqp/connection.py (`send_heartbeat`, `heartbeat_tick`), and in Celery 5.7.0:
celery/worker/loops.py (the connections with heartbeats: the consumer's and that of its events).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from celery import Celery, bootsteps
from celery.signals import task_postrun, task_prerun

PER_HEARTBEAT = 3  # sent in each interval; two in a row may be late


class Heartbeats:
    """Sends heartbeats of the connections of `consumer` while a task runs in the caller's thread."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self._running = threading.Event()
        self._connections = threading.Lock()  # held by whichever thread writes to them

    def start(self, consumer: Any) -> None:
        first, self.consumer = self.consumer is None, consumer
        if first:
            threading.Thread(target=self._run, name="amqp-heartbeat", daemon=True).start()
            task_prerun.connect(self._begin, weak=False)
            task_postrun.connect(self._end, weak=False)

    def _begin(self, **_: Any) -> None:
        self._running.set()

    def _end(self, **_: Any) -> None:
        with self._connections:
            self._running.clear()
            for connection in self._open():
                # What the broker sent meanwhile is not read yet, and the loop would take it for dead.
                connection.last_heartbeat_received = time.monotonic()

    def _run(self) -> None:
        while True:
            self._running.wait()
            with self._connections:
                for connection in self._open() if self._running.is_set() else ():
                    try:
                        connection.send_heartbeat()
                    except OSError:  # lost; the loop finds out when the task has ended
                        continue
            time.sleep(self.consumer.amqheartbeat / PER_HEARTBEAT)

    def _open(self) -> Iterator[Any]:
        """The py-amqp connections that heartbeats were agreed on for."""
        for owner in (self.consumer, self.consumer.event_dispatcher):
            connection = getattr(getattr(owner, "connection", None), "_connection", None)
            if connection is not None and connection.heartbeat and connection.connected:
                yield connection


def install_step(app: Celery) -> None:
    """Let the solo workers of `app` send heartbeats while they run a task."""
    heartbeats = Heartbeats()

    class Step(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "AMQP heartbeat"
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def include_if(self, consumer: Any) -> bool:
            return bool(consumer.pool.__module__.endswith("solo") and consumer.amqheartbeat)

        def start(self, consumer: Any) -> None:
            heartbeats.start(consumer)

    app.steps["consumer"].add(Step)
