"""Joins the direct pool and the worker's consumer: the one waits for messages, the children of the other claim them."""

from __future__ import annotations

from typing import Any

from celery import Celery, bootsteps

from celery_runtime.direct import internals


def install_step(app: Celery, leased: type) -> None:
    """Let workers of `app` have this pool: `--pool=direct`, or `worker_pool = "direct"`.

    leased: the step that lets the channel go on with what is held.
    """
    internals.install_pool_name()

    class Direct(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "Direct pool"
        requires = (leased,)

        def include_if(self, consumer: Any) -> bool:
            return hasattr(consumer.pool, "attach")

        def start(self, consumer: Any) -> None:
            consumer.pool.attach(consumer)

    app.steps["consumer"].add(Direct)
