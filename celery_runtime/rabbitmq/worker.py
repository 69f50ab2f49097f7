"""A worker's consumer on RabbitMQ: it declares what publishers need too, and says what stops it.

Read in Celery 5.7.0: worker/consumer/consumer.py, worker/consumer/delayed_delivery.py, worker/pidbox.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from amqp.exceptions import ResourceLocked
from amqp.transport import TCPTransport
from celery import bootsteps
from celery.exceptions import WorkerShutdown
from celery.utils.log import get_logger
from celery.worker import consumer
from celery.worker.state import maybe_shutdown
from kombu.common import Broadcast
from vine import promise

from celery_runtime.rabbitmq.topology import delay_exchange
from celery_runtime.settings import ConfigError

LOCKED_RETRY = 5  # seconds; RabbitMQ forgets a connection that died without a word after two heartbeats, 20 s
READ_AHEAD = 65_536  # bytes
PUBLISHED = "published"  # key of a message's delivery info: its exchange and routing key
DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"

log = get_logger(__name__)


class Topology(bootsteps.StartStopStep):  # type: ignore[misc]
    """Declare every queue of the app and the delays, over the consumer's own connection.

    In place of Celery's step, which opens a connection to each node of the URL, waits 6 s for one that is down, and
    binds queues that nobody declared.
    """

    label = "Topology"
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        with consumer.connection.channel() as channel:
            delay_exchange().declare(channel=channel)
            for queue in consumer.app.amqp.queues.values():
                if not isinstance(queue, Broadcast):
                    queue.declare(channel=channel)


def read_ahead(transport: Any) -> None:
    """Take what has arrived in one call: py-amqp asks the system three times for each frame, nine for each message.

    Its buffer keeps the rest, and the loop reads until nothing is left of it. With TLS, py-amqp does so itself.
    """
    if isinstance(transport, TCPTransport):
        receive = transport.sock.recv
        transport._quick_recv = lambda count: receive(max(count, READ_AHEAD))  # noqa: SLF001


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Ends with exit code 2 when a queue cannot be declared as configured; waits for a node name that is taken."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc]
        default_steps = (
            *(step for step in consumer.Consumer.Blueprint.default_steps if step != DELAYED_DELIVERY),
            "celery_runtime.rabbitmq.worker:Topology",
        )

    def connect(self) -> Any:
        connection = super().connect()
        read_ahead(connection.connection.transport)
        return connection

    def create_task_handler(self, promise: Any = promise) -> Callable[[Any], Any]:
        """Let a task be retried in the queue that it came from.

        A retry goes where its message was published. With a countdown Celery then looks for a queue, finds none in an
        exchange and a routing key, and takes the default queue; a queue's name as in the default exchange it keeps.
        """
        handle: Callable[[Any], Any] = super().create_task_handler(promise)

        def on_task_received(message: Any) -> Any:
            info, queue = message.delivery_info, self.queue_of(message)
            info[PUBLISHED] = info["exchange"], info["routing_key"]
            info["exchange"], info["routing_key"] = "", queue
            return handle(message)

        return on_task_received

    def queue_of(self, message: Any) -> str:
        """The queue whose consumer got `message`, which may have been cancelled since."""
        if PUBLISHED in message.delivery_info:
            return str(message.delivery_info["routing_key"])
        tag = message.delivery_info["consumer_tag"]
        tags: dict[str, str] = self.task_consumer._active_tags  # noqa: SLF001
        return next(name for name, each in tags.items() if each == tag)

    def start(self) -> None:
        try:
            super().start()
        except ConfigError as error:
            log.critical("%s", error)
            raise WorkerShutdown(2) from None

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, ResourceLocked):
            self._wait_for_name()

    def _wait_for_name(self) -> None:
        """Not an error to end with: after a cut connection it is this worker itself that still holds the name."""
        log.error(
            "RabbitMQ: another worker is connected as %s. Give each worker of one host a NODE_NAME of its own. "
            "Trying again in %d s",
            self.hostname,
            LOCKED_RETRY,
        )
        until = time.monotonic() + LOCKED_RETRY
        while time.monotonic() < until:
            maybe_shutdown()
            time.sleep(0.1)
