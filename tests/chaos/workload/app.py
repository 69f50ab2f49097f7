"""The Celery app of the chaos rows: each task writes into the ledger when it starts and when it ends.

With STOCK=1 it is plain Celery with the settings that careful people use.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import quote

from celery import Celery, chord
from celery.signals import after_task_publish
from redis import Redis

RUN = os.environ["RUN"]


def with_password(name):
    password = quote(Path(os.environ[f"{name}_PASSWORD_FILE"]).read_text().strip())
    return os.environ[f"{name}_URL"].replace("celery@", f"celery:{password}@")


def stock(app):
    """Late acknowledgement and prefetch 1; a visibility timeout of an hour would let no row end within its time."""
    redis, rabbitmq = with_password("REDIS"), with_password("RABBITMQ")
    on_redis = os.environ["BROKER"] == "redis"
    visibility = {"visibility_timeout": int(os.environ.get("VISIBILITY_TIMEOUT", "60"))}
    app.conf.update(
        broker_url=redis if on_redis else rabbitmq,
        result_backend=redis,
        task_default_queue=os.environ["QUEUE"],
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        broker_transport_options=visibility if on_redis else {},
    )


app = Celery("chaos")
if os.environ.get("STOCK"):
    stock(app)
else:
    from celery_runtime import install

    install(app)

# What an operator's app sets for a broker of several servers.
if master := os.environ.get("SENTINEL_MASTER"):
    for options in ("broker_transport_options", "result_backend_transport_options"):
        app.conf[options] = {**app.conf[options], "master_name": master}
if nodes := os.environ.get("RABBITMQ_NODES"):
    app.conf.broker_url = [app.conf.broker_url.replace("@rabbitmq:", f"@{node}:") for node in nodes.split(",")]


@functools.cache
def ledger():
    return Redis(host="ledger", socket_timeout=30)


def write(what, task_id, attempt=0):
    """Append to the ledger; returns when the line is on its disk."""
    line = {"what": what, "id": task_id, "host": socket.gethostname(), "pid": os.getpid(), "attempt": attempt}
    ledger().xadd(f"events:{RUN}", line)


def note(name):
    """A task whose start and end are in the ledger; between them runs the decorated function."""

    def decorate(work):
        @app.task(bind=True, name=name)
        @functools.wraps(work)
        def task(self, *args, **kwargs):
            write("start", self.request.id, self.request.retries)
            work(*args, **kwargs)
            write("end", self.request.id, self.request.retries)

        return task

    return decorate


@note("sleep")
def sleep(seconds=0.0):
    if seconds:
        time.sleep(seconds)


@note("suicide")
def suicide():
    """Kill the pool child that runs this, as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@note("hog")
def hog():
    """Allocate until the kernel kills something of this container."""
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


@note("body")
def body(results):
    del results


if os.environ.get("RELEASE") != "old":

    @note("newer")
    def newer():
        """A task that only the new release knows."""


if every := os.environ.get("TICK"):  # seconds; of Beat
    app.conf.beat_schedule = {
        "tick": {"task": "sleep", "schedule": float(every), "options": {"queue": os.environ["QUEUE"]}}
    }

    @after_task_publish.connect
    def accept(headers, **_):
        ledger().sadd(f"accepted:{RUN}", headers["id"])


app.conf.redbeat_key_prefix = f"redbeat:{RUN}:"  # another run's Beat holds another lock


def publish_garbage(task_id):
    """Publish a body that is no JSON, and a pickle; returns their ids."""
    queue = app.amqp.queues[os.environ["QUEUE"]]
    bodies = {"json": (b"{not json", "application/json"), "pickle": (b"\x80\x04N.", "application/x-python-serialize")}
    with app.producer_or_acquire() as producer:
        for kind, (body, content_type) in bodies.items():
            producer.publish(
                body,
                content_type=content_type,
                content_encoding="binary",
                headers={"task": "sleep", "id": f"{task_id}-{kind}", "lang": "py"},
                exchange=queue.exchange,
                routing_key=queue.routing_key,
                declare=[queue],
            )
    return [f"{task_id}-{kind}" for kind in bodies]


def publish_chord(task_id, headers, seconds):
    """Publish a chord; returns the ids of its headers and of its body."""
    header_ids = [f"{task_id}-{number}" for number in range(headers)]
    chord(
        [sleep.s(seconds=seconds).set(task_id=header) for header in header_ids], body.s().set(task_id=task_id)
    ).apply_async()
    return [*header_ids, task_id]
