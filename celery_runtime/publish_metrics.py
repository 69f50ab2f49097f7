"""Count what a process publishes: how much, what the broker did not confirm, and how long that took.

Pool children publish too, in processes whose numbers nobody reads: what a web process, Beat, and the pools `threads`
and `solo` publish is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.utils.imports import symbol_by_name

from celery_runtime import metrics


def install(app: Celery) -> None:
    """Count the messages of `app`; before celery_runtime.batches, which counts the errors of what it holds back."""
    base: Any = symbol_by_name(app.amqp_cls)

    class CountingAMQP(base):  # type: ignore[misc]
        def _create_task_sender(self) -> Callable[..., Any]:
            send = super()._create_task_sender()

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

    app.amqp_cls = CountingAMQP
    app.__dict__.pop("amqp", None)  # made before, for a setting that was looked at
    for queue in (*(queue.name for queue in app.conf.task_queues), metrics.OTHER):
        metrics.count("published", 0, queue=queue)
        metrics.count("publish_errors", 0, queue=queue)


def _queue_of(app: Celery, options: dict[str, Any]) -> str:
    """The queue of a message; one that waits in the broker names it last in its routing key."""
    queue = options.get("queue")
    name = getattr(queue, "name", queue) or str(options.get("routing_key") or "").rpartition(".")[2]
    return str(name) if name in app.amqp.queues else metrics.OTHER
