"""Joins the direct pool and the worker's consumer: the one waits for messages, the children of the other claim them."""

from __future__ import annotations

from typing import Any

from celery import Celery, bootsteps


def install_step(app: Celery, after: Any) -> None:
    """Join every worker of `app` that has this pool to it.

    after: the step by which the consumer's channel is ready: on Redis, the one that goes on with what is held.
    """

    class Direct(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "Direct pool"
        requires = (after,)

        def __init__(self, consumer: Any, **kwargs: Any) -> None:
            super().__init__(consumer, **kwargs)
            if hasattr(consumer.pool, "attach"):
                _hear_of_losses(consumer)

        def include_if(self, consumer: Any) -> bool:
            return hasattr(consumer.pool, "attach")

        def start(self, consumer: Any) -> None:
            consumer.pool.attach(consumer)

    app.steps["consumer"].add(Direct)


def _hear_of_losses(consumer: Any) -> None:
    """Tell the pool when the connection breaks, before anything is done about it."""
    clean_up = consumer.on_connection_error_after_connected

    def lose(error: Exception) -> None:
        consumer.pool.lose()
        clean_up(error)

    consumer.on_connection_error_after_connected = lose
