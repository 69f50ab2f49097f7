"""Joins the direct pool and the worker's consumer: the one waits for messages, the children of the other claim them."""

from __future__ import annotations

from typing import Any

from celery import Celery, bootsteps


def install_step(app: Celery, leased: type) -> None:
    """Join every worker of `app` that has this pool to it.

    leased: the step that lets the channel go on with what is held.
    """

    class Direct(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "Direct pool"
        requires = (leased,)

        def include_if(self, consumer: Any) -> bool:
            return hasattr(consumer.pool, "attach")

        def start(self, consumer: Any) -> None:
            consumer.pool.attach(consumer)

    app.steps["consumer"].add(Direct)
