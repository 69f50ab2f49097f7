"""What a publisher does on RabbitMQ beyond Celery's own: declare the delays before a message goes through them.

Read in Celery 5.7.0: app/base.py (send_task) replaces the queue of a message with eta or countdown by the exchange of
the longest delay, and then nothing is declared. Its delays are whole seconds, and it raises ValueError for one below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.app import amqp, base
from kombu.common import Broadcast

from celery_runtime.rabbitmq.topology import DELAY, delay_exchange


def round_up_delays() -> None:
    """Let a delay of less than a second be one second, instead of an error of whoever publishes."""
    if not hasattr(base.calculate_routing_key, "celerys"):
        base.calculate_routing_key = _RoutingKeys(base.calculate_routing_key)


class _RoutingKeys:
    def __init__(self, celerys: Callable[[int, str], str]) -> None:
        self.celerys = celerys

    def __call__(self, countdown: int, routing_key: str) -> str:
        return self.celerys(max(countdown, 1), routing_key)


class AMQP(amqp.AMQP):  # type: ignore[misc]
    """Celery's messaging of an app, complete for delayed delivery."""

    def _create_task_sender(self) -> Callable[..., Any]:
        send = super()._create_task_sender()

        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            # A message that expires in its queue would end as a dead letter, and in a delay it would come out early.
            # Its worker discards it and stores REVOKED, by the header `expires`, as on Redis.
            options.pop("expiration", None)
            exchange = options.get("exchange")
            if getattr(exchange, "name", exchange) == DELAY:
                queues = [queue for queue in self.queues.values() if not isinstance(queue, Broadcast)]
                options["declare"] = [delay_exchange(), *queues, *(options.get("declare") or ())]
            return send(producer, name, message, **options)

        return send_task_message
