"""What an app needs so that its groups go out in batches: the headers of chords, and chunks, are groups too.

Nothing else changes for whoever publishes: the order, the signals of each task (`after_task_publish` once the broker
has it), the results, and the error that a lost broker ends in.

Read in Celery 5.7.0: celery/canvas.py, `group._apply_tasks`; celery/app/amqp.py, `_create_task_sender` (it keeps the
signals' `send`), `_callback_publish_retry` (a worker's callbacks are tried one by one); in kombu 5.7.0:
kombu/common.py, `maybe_declare`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import local
from typing import Any

from celery import Celery, signals
from celery.app.amqp import _callback_publish_retry
from celery.canvas import group
from celery.utils.functional import _regen
from kombu.messaging import Producer as KombuProducer

from celery_runtime import layers
from celery_runtime.batches import Batch, batching

_sending = local()  # the batch, if any, that a task of this thread is being sent into


class Producer(KombuProducer):
    """kombu's, which copies a queue and its exchange no more to find that they are declared."""

    def maybe_declare(self, entity: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self.channel.connection
        cached = connection and entity and entity.can_cache_declaration
        if cached and hash(entity) in connection.client.declared_entities:
            return False
        return super().maybe_declare(entity, *args, **kwargs)  # type: ignore[no-untyped-call]


def install(app: Celery) -> None:
    """Let `app` publish its groups in batches."""
    layers.add(app, _batching_amqp)
    app.celery_runtime_batches = True
    if not hasattr(group._apply_tasks, "celerys"):  # noqa: SLF001
        group._apply_tasks = _in_batches(group._apply_tasks)  # noqa: SLF001


def _batching_amqp(base: Any) -> type:
    class BatchingAMQP(base):  # type: ignore[misc]
        @property
        def producer_pool(self) -> Any:
            pool = super().producer_pool
            pool.Producer = Producer
            return pool

        def _create_task_sender(self) -> Callable[..., Any]:
            with _after_confirmation(signals.after_task_publish), _after_confirmation(signals.task_sent):
                send = super()._create_task_sender()

            def send_task_message(producer: Any, *args: Any, **kwargs: Any) -> Any:
                outer = getattr(_sending, "batch", None)
                _sending.batch = getattr(producer._batch_local, "current", None)  # noqa: SLF001
                try:
                    return send(producer, *args, **kwargs)
                finally:
                    _sending.batch = outer

            return send_task_message

    return BatchingAMQP


@contextmanager
def _after_confirmation(signal: Any) -> Iterator[None]:
    """Let whoever looks up `signal.send` in the meantime send it once the broker has confirmed the message."""
    celerys = signal.send

    def send(*args: Any, **named: Any) -> None:
        batch = getattr(_sending, "batch", None)
        if isinstance(batch, Batch):
            batch.after(partial(celerys, *args, **named))
        else:
            celerys(*args, **named)

    signal.send = send
    try:
        yield
    finally:
        del signal.send


def _in_batches(celerys: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def apply_tasks(
        self: Any, tasks: Any, producer: Any = None, app: Any = None, *args: Any, **options: Any
    ) -> Iterator[Any]:
        app = app or self.app
        # Of a header that is still being made, each task is sent as it comes: the next one may be long in coming.
        comes = isinstance(self.tasks, _regen) and not self.tasks._regen__done  # noqa: SLF001
        if comes or not hasattr(app, "celery_runtime_batches") or _callback_publish_retry.get():
            yield from celerys(self, tasks, producer, app, *args, **options)
            return
        with app.producer_or_acquire(producer) as producer, batching(producer, _policy(app, options)) as batch:  # noqa: PLR1704
            for result in celerys(self, tasks, producer, app, *args, **options):
                batch.flush_if_due()
                yield result

    apply_tasks.celerys = celerys  # type: ignore[attr-defined]
    return apply_tasks


def _policy(app: Celery, options: dict[str, Any]) -> dict[str, Any] | None:
    """How often the group's messages are tried, as Celery would each of them."""
    retry = options.get("retry")
    if not (app.conf.task_publish_retry if retry is None else retry):
        return None
    return {**app.conf.task_publish_retry_policy, **(options.get("retry_policy") or {})}
