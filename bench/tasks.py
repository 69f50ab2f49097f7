"""The tasks that are measured, of an app with Celery's own settings or with the runtime's; the environment says which.

BENCH_APP is `stock` or `blueprint`, BENCH_SAFE and BENCH_EVENTS are set or empty, BENCH_QUEUES are names with commas,
BENCH_LEDGER is a file into which each nap writes its id when it starts.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery, Task
from kombu import Exchange, Queue

from celery_runtime import install

QUEUES = os.environ["BENCH_QUEUES"].split(",")
LEDGER = os.environ.get("BENCH_LEDGER")
app = Celery("bench")


@app.task  # type: ignore[untyped-decorator]
def noop(*_: object) -> None:
    """Nothing: what is left is what Celery costs."""


@app.task(bind=True)  # type: ignore[untyped-decorator]
def nap(self: Task, seconds: float, sent: float) -> list[float]:
    """Wait as if for another server; the result says when it was sent and when it started."""
    started = time.time()
    if LEDGER:
        with Path(LEDGER).open("a") as ledger:
            ledger.write(f"{self.request.id}\n")
    if seconds:
        time.sleep(seconds)
    return [seconds, sent, started]


def configure_stock(*, safe: bool) -> None:
    """Celery's defaults; `safe` adds what its documentation has against loss, and is still not enough."""
    rabbitmq = os.environ["BENCH_BROKER_URL"].startswith("amqp")
    arguments = {"x-queue-type": "quorum"} if rabbitmq and safe else None
    app.conf.update(
        broker_url=os.environ["BENCH_BROKER_URL"],
        result_backend=os.environ["BENCH_REDIS_URL"],
        task_default_queue=QUEUES[0],
        task_queues=[Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments) for name in QUEUES],
        broker_connection_retry_on_startup=True,
    )
    if safe:
        app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)
        if rabbitmq:
            app.conf.broker_transport_options = {"confirm_publish": True}


if os.environ.get("BENCH_EVENTS"):
    app.conf.update(worker_send_task_events=True, task_send_sent_event=True)
if os.environ["BENCH_APP"] == "stock":
    configure_stock(safe=bool(os.environ.get("BENCH_SAFE")))
else:
    install(app)
