"""A worker's consumer that parks what Celery would throw away.

Read in Celery 5.7.0: worker/consumer/consumer.py (on_unknown_task and its neighbours, create_task_handler,
call_soon_ack), worker/request.py (on_failure, _retry_worker_lost). A task's own Request class is kept as the base.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import signals
from celery.exceptions import InvalidTaskError, NotRegistered, WorkerLostError
from celery.utils.imports import symbol_by_name
from celery.utils.log import get_logger
from celery.utils.objects import Bunch
from celery.worker import consumer
from kombu.exceptions import ContentDisallowed, DecodeError, MessageStateError
from vine import promise

from celery_runtime import metrics
from celery_runtime.dead_letters import rabbitmq, redis
from celery_runtime.dead_letters.boxes import is_rabbitmq
from celery_runtime.dead_letters.faults import Fault, fault_of
from celery_runtime.dead_letters.letter import Note
from celery_runtime.rabbitmq.worker import PUBLISHED
from celery_runtime.rabbitmq.worker import Consumer as RabbitMQBase
from celery_runtime.redis_transport.channel import Channel

RETRY = 2.0  # seconds until a message that could not be parked goes back to its queue, to be looked at again
DETAIL = 500  # characters; on RabbitMQ all headers of a message share one frame of 128 KiB
EXCEPTIONS: dict[str, type[Exception]] = {
    "unknown-task": NotRegistered,
    "undecodable": DecodeError,
    "content-type": ContentDisallowed,
    "poison": WorkerLostError,
}

log = get_logger(__name__)


class Parking:
    """Mixed into Celery's Consumer."""

    app: Any
    hostname: str
    timer: Any
    connection: Any
    connection_errors: tuple[type[Exception], ...]
    event_dispatcher: Any
    strategies: dict[str, Any]
    call_soon_ack: Callable[..., Any]
    task_consumer: Any
    queue_of: Callable[[Any], str]

    def update_strategies(self) -> None:
        for task in self.app.tasks.values():
            base = symbol_by_name(task.Request)
            if not issubclass(base, ParkingRequest):
                task.Request = type("Request", (ParkingRequest, base), {"consumer": self})
        super().update_strategies()  # type: ignore[misc]

    def create_task_handler(self, promise: Any = promise) -> Callable[[Any], Any]:
        handle: Callable[[Any], Any] = super().create_task_handler(promise)  # type: ignore[misc]
        limit = self.app.celery_runtime_delivery_limit

        if isinstance(self.task_consumer.channel, Channel):
            self.task_consumer.channel.on_malformed = self.park_malformed

        def on_task_received(message: Any) -> Any:
            fault = fault_of(message, self.strategies, limit)
            return self.refuse(message, fault) if fault else handle(message)

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Take what could not even be decompressed, and what the strategy of a task found undecodable."""
        self.refuse(message, Fault("undecodable", str(exc)), exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Take what only Celery's own request found out: an eta that is no time, for example."""
        self.refuse(message, Fault("arguments", str(exc)), exc)

    def refuse(self, message: Any, fault: Fault, exc: Exception | None = None) -> None:
        """Park a message that was not started, and let everybody know who knows its task's id."""
        if not self.park(message, *fault):
            return
        task_id, name = _identity(message)
        error = exc or _error(fault, name)
        if task_id:
            request = Bunch(
                name=name,
                chord=None,  # it may still be completed: by a replay
                root_id=message.headers.get("root_id"),
                correlation_id=message.properties.get("correlation_id"),
                reply_to=message.properties.get("reply_to"),
                errbacks=None,
            )
            self.app.backend.mark_as_failure(task_id, error, request=request)
            if self.event_dispatcher:
                self.event_dispatcher.send("task-failed", uuid=task_id, exception=repr(error))
        if fault.reason == "unknown-task":
            signals.task_unknown.send(sender=self, message=message, exc=KeyError(name), name=name, id=task_id)
        else:
            signals.task_rejected.send(sender=self, message=message, exc=error)

    def park(self, message: Any, reason: str, detail: str) -> bool:
        """Move `message` to the dead letters of its queue. When that fails, it goes back to its queue."""
        queue, info = self.queue_of(message), message.delivery_info or {}
        published = info.get(PUBLISHED) or (info.get("exchange") or "", info.get("routing_key") or "")
        line = " ".join(detail.split())[:DETAIL]
        note, parked = Note(queue, reason, line, self.hostname, *published), True
        try:
            if is_rabbitmq(self.connection):
                rabbitmq.park(self.app, message, note)
            else:
                parked = redis.park(message, note)
        except Exception as error:  # noqa: BLE001  whatever it is, the message must not be acknowledged
            log.error("dead letter: could not be parked in dead.%s and stays in its queue: %s", queue, error)  # noqa: TRY400
            self.timer.call_after(RETRY, self._give_back, (message,))
            return False
        if parked:
            task_id, name = _identity(message)
            log.error("dead letter: %s[%s] parked in dead.%s: %s: %s", name or "-", task_id or "-", queue, reason, line)
            message.ack_log_error(log, self.connection_errors)
            known = name if name in self.app.tasks else metrics.OTHER
            metrics.count("dead_letters", task=known, queue=queue, reason=reason)
        else:
            log.warning("dead letter: %s of %s is another worker's by now", message.delivery_tag, queue)
        return parked

    def park_malformed(self, queue: str, tag: str, element: bytes, reason: str) -> None:
        """Park what the transport found in the list of `queue` and cannot take for a message."""
        note = Note(queue, "not-a-task", reason[:DETAIL], self.hostname)
        if redis.park_malformed(self.task_consumer.channel, tag, element, note):
            log.error("dead letter: parked in dead.%s: not-a-task: %s", queue, note.detail)
            metrics.count("dead_letters", task=metrics.OTHER, queue=queue, reason="not-a-task")

    def _give_back(self, message: Any) -> None:
        try:
            message.reject(requeue=True)
        except (*self.connection_errors, MessageStateError):  # type: ignore[misc]
            log.debug("dead letter: the connection of %s was lost, and with it the claim", message.delivery_tag)


class ParkingRequest:
    """Mixed into a task's Request: what ends for good without having run to its end is parked, not acknowledged."""

    consumer: Parking
    id: str
    acknowledged: bool
    message: Any
    _lost: str | None = None  # how the process of the task ended

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        self._lost = str(error) if isinstance(error, WorkerLostError) else None
        super().on_failure(exc_info, *args, **kwargs)  # type: ignore[misc]

    def _success_was_stored(self) -> Any:
        meta = super()._success_was_stored()  # type: ignore[misc]
        if meta:
            self._lost = None
        return meta

    def _retry_worker_lost(self, *args: Any) -> Any:
        """Celery acknowledges within: the message that goes on is the new one."""
        lost, self._lost = self._lost, None
        retried = super()._retry_worker_lost(*args)  # type: ignore[misc]
        self._lost = None if retried else lost
        return retried

    def acknowledge(self) -> None:
        if self._lost and not self.acknowledged:
            self._park("poison", self._lost)
        super().acknowledge()  # type: ignore[misc]

    def reject(self, requeue: bool = False) -> None:
        if not requeue and not self.acknowledged:
            self._park("poison" if self._lost else "rejected", self._lost or "Reject(requeue=False)")
        super().reject(requeue=requeue)  # type: ignore[misc]

    def _park(self, reason: str, detail: str) -> None:
        self.consumer.call_soon_ack(self.consumer.park, self.message, reason, detail)
        self.acknowledged = True  # by the parking


def _identity(message: Any) -> tuple[str, str]:
    """The id and the name of the task, as far as the message tells; of either protocol."""
    header = message.headers
    if "task" not in header and "id" not in header:
        try:
            header = message.payload
        except Exception:  # noqa: BLE001  it may be what it is parked for
            header = {}
    task_id, name = (header.get("id"), header.get("task")) if isinstance(header, dict) else (None, None)
    return (task_id if isinstance(task_id, str) else "", name if isinstance(name, str) else "")


def _error(fault: Fault, name: str) -> Exception:
    """What the result of the task shows."""
    kind: type[Exception] = EXCEPTIONS.get(fault.reason, InvalidTaskError)
    return kind(name if fault.reason == "unknown-task" else f"{fault.reason}: {fault.detail}")


class Consumer(Parking, consumer.Consumer):  # type: ignore[misc]
    """On Redis."""

    def queue_of(self, message: Any) -> str:
        """The queue that `message` was claimed from; without the claim its routing key names it, or it is the first."""
        if isinstance(message.channel, Channel) and (queue := message.channel.held.queue_of(message.delivery_tag)):
            return queue
        queues = self.app.amqp.queues.consume_from
        name = (message.delivery_info or {}).get("routing_key")
        return str(name if name in queues else next(iter(queues)))


class RabbitMQConsumer(Parking, RabbitMQBase):
    """On RabbitMQ."""
