"""Put a layer on what an app publishes with, its `app.amqp`. The last one put there is the outermost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.utils.imports import symbol_by_name

Send = Callable[..., Any]  # Celery's `send_task_message(producer, name, message, **options)`


def add(app: Celery, layer: Callable[[Any], type]) -> None:
    """Let `app` publish with `layer(base)`, a subclass of the class that it has now."""
    app.amqp_cls = layer(symbol_by_name(app.amqp_cls))
    app.__dict__.pop("amqp", None)  # made before, for a setting that was looked at


def around_sending(app: Celery, around: Callable[[Send], Send]) -> None:
    """Let `app` send every message of a task with what `around` makes of what sends them now."""

    def layer(base: Any) -> type:
        class AMQP(base):  # type: ignore[misc]
            def _create_task_sender(self) -> Send:
                return around(super()._create_task_sender())

        return AMQP

    add(app, layer)
