"""Fill the queues far faster than Celery publishes: `python -m bench.fill noop TASKS BYTES` or `nap TASKS SECONDS`.

One task of each queue is published as ever; the others are copies of its message with ids of their own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import islice
from typing import Any
from uuid import uuid4

from redis import Redis

from bench.tasks import QUEUES, app, nap, noop

BATCH = 1000  # messages in one round trip to Redis


def main() -> None:
    task, tasks, size = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    arguments: list[Any] = ["x" * int(size)] if task == "noop" else [size, 0]
    fill = _fill_rabbitmq if app.conf.broker_url.startswith("amqp") else _fill_redis
    for number, queue in enumerate(QUEUES):
        share = tasks // len(QUEUES) + (number < tasks % len(QUEUES))
        published = (noop if task == "noop" else nap).apply_async(arguments, queue=queue)
        fill(queue, published.id, share)


def _fill_redis(queue: str, task_id: str, tasks: int) -> None:
    """Takes the message that it copies from a database where no worker is faster."""
    with Redis.from_url(app.conf.broker_url) as draft, Redis.from_url(os.environ["BENCH_TARGET_URL"]) as redis:
        raw: Any = draft.rpop(queue)
        text = raw.decode()
        tag = json.loads(text)["properties"]["delivery_tag"]
        copies = (text.replace(task_id, str(uuid4())).replace(tag, str(uuid4())) for _ in range(tasks))
        while batch := list(islice(copies, BATCH)):
            redis.lpush(queue, *batch)


def _fill_rabbitmq(queue: str, task_id: str, tasks: int) -> None:
    unconfirmed = {"confirm_publish": False}
    with app.connection_for_write(transport_options=unconfirmed) as connection, connection.channel() as channel:
        while (message := channel.basic_get(queue, no_ack=True)) is None:
            time.sleep(0.01)
        for _ in range(tasks):
            channel.basic_publish(_copy(channel, message), exchange="", routing_key=queue)
        while channel.queue_declare(queue, passive=True).message_count < tasks:
            time.sleep(0.05)


def _copy(channel: Any, message: Any) -> Any:
    task_id = str(uuid4())
    return channel.prepare_message(
        message.body,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        headers={**message.headers, "id": task_id, "root_id": task_id},
        properties={"correlation_id": task_id, "delivery_mode": 2, "reply_to": message.properties["reply_to"]},
    )


if __name__ == "__main__":
    main()
