"""Count what a process publishes: how much, what the broker did not confirm, and how long that took.

Pool children publish too, in processes whose numbers nobody reads: what a web process, Beat, and the pools `threads`
and `solo` publish is counted.
"""

from __future__ import annotations

import time
from typing import Any

from celery import Celery

from celery_runtime import metrics
from celery_runtime.layers import Send, around_sending


def install(app: Celery) -> None:
    """Count the messages of `app`; before celery_runtime.batches, which counts the errors of what it holds back."""

    def counted(send: Send) -> Send:
        def send_task_message(producer: Any, *args: Any, **options: Any) -> Any:
            queue = _queue_of(app, options)
            began = time.perf_counter()
            try:
                sent = send(producer, *args, **options)
            except Exception:
                metrics.count("publish_errors", queue=queue)
                raise
            metrics.count("published", queue=queue)
            if getattr(producer._batch_local, "current", None) is None:  # noqa: SLF001 -- not held back
                metrics.publishing.add(time.perf_counter() - began)
            return sent

        return send_task_message

    around_sending(app, counted)
    for queue in (*(queue.name for queue in app.conf.task_queues), metrics.OTHER):
        metrics.count("published", 0, queue=queue)
        metrics.count("publish_errors", 0, queue=queue)


def _queue_of(app: Celery, options: dict[str, Any]) -> str:
    """The queue of a message; one that waits in the broker names it last in its routing key."""
    queue = options.get("queue")
    name = getattr(queue, "name", queue) or str(options.get("routing_key") or "").rpartition(".")[2]
    return str(name) if name in app.amqp.queues else metrics.OTHER
