"""What is measured: a task that does nothing, of an app with stock settings, or with the runtime's."""

from __future__ import annotations

import os

from celery import Celery
from kombu import Exchange, Queue

VARIANT = os.environ["BENCH_VARIANT"]
QUEUE = f"bench-{VARIANT}"  # RabbitMQ refuses one name with two sets of arguments
app = Celery("bench")


@app.task  # type: ignore[untyped-decorator]
def noop() -> None:
    """Nothing: what is left is what Celery costs."""


def stock() -> Celery:
    """Celery as its documentation has it, but safe: late acknowledgement, prefetch 1, quorum queues on RabbitMQ."""
    rabbitmq = os.environ["BENCH_BROKER_URL"].startswith("amqp")
    arguments = {"x-queue-type": "quorum"} if rabbitmq else None
    app.conf.update(
        broker_url=os.environ["BENCH_BROKER_URL"],
        result_backend=os.environ["BENCH_REDIS_URL"],
        task_default_queue=QUEUE,
        task_queues=[Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE, queue_arguments=arguments)],
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"confirm_publish": True} if rabbitmq else {},
    )
    return app


if VARIANT == "stock":
    stock()
