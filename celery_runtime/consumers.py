"""How many workers consume each queue, what waits there, and what is parked, as the broker itself counts it.

RabbitMQ counts the consumers of a queue. Redis knows who waits for a list at this moment, not who works off what it
took; a heartbeat in a key would outlive a killed worker, and `inspect` waits for whoever is busy. So a worker on Redis
subscribes to a channel for each queue that it consumes. Nobody publishes there: Redis counts the subscribers for
whoever asks (PUBSUB NUMSUB), and forgets one with its connection, however it ended. A worker that stands still is
counted until then; its own /livez tells.

Read in kombu 5.7.0: transport/redis.py, `keyprefix_fanout` (pub/sub knows no databases, so kombu puts theirs into the
name) and `_size`; messaging.py, `Consumer.consuming_from`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from amqp.exceptions import NotFound
from celery import Celery, bootsteps
from celery.utils.log import get_logger
from redis.exceptions import RedisError

from celery_runtime import dead_letters
from celery_runtime.dead_letters.boxes import is_rabbitmq

LOOK = 1.0  # seconds until a queue that is added or cancelled at run time is noticed
log = get_logger(__name__)


class QueueState(NamedTuple):
    consumers: int
    waiting: int  # messages that no worker has taken
    dead_letters: int


def states(connection: Any, queues: Iterable[str]) -> dict[str, QueueState]:
    """Ask the broker behind a connection of kombu; a queue that does not exist yet has nothing and nobody.

    Raises what kombu raises when the broker is away.
    """
    look = _on_rabbitmq if is_rabbitmq(connection) else _on_redis
    return {queue: QueueState(*look(connection, queue), dead_letters.depth(connection, queue)) for queue in queues}


def _on_rabbitmq(connection: Any, queue: str) -> tuple[int, int]:
    channel = connection.channel()
    try:
        declared = channel.queue_declare(queue, passive=True)
    except NotFound:
        return 0, 0
    finally:
        channel.close()
    return declared.consumer_count, declared.message_count


def _on_redis(connection: Any, queue: str) -> tuple[int, int]:
    channel = connection.default_channel
    ((_, subscribers),) = channel.client.pubsub_numsub(presence(channel, queue))
    return int(subscribers), int(channel._size(queue))  # noqa: SLF001 -- of all its priorities; kombu has no other way


def presence(channel: Any, queue: str) -> str:
    return f"{channel.keyprefix_fanout}consumers.{queue}"


def install_step(app: Celery) -> None:
    """Let the workers of `app` on Redis be counted."""

    class Presence(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "Presence"
        requires = ("celery.worker.consumer.tasks:Tasks",)
        shown: frozenset[str] = frozenset()
        subscription: Any = None
        looking: Any = None

        def start(self, consumer: Any) -> None:
            self.show(consumer)
            self.looking = consumer.timer.call_repeatedly(LOOK, self.show, (consumer,))

        def stop(self, consumer: Any) -> None:
            if self.looking is not None:
                self.looking.cancel()
            self.hide()

        shutdown = terminate = stop

        def show(self, consumer: Any) -> None:
            """Subscribe for what is consumed now; on the way to its end a worker consumes nothing."""
            tasks = consumer.task_consumer
            now = frozenset(queue.name for queue in tasks.queues if tasks.consuming_from(queue))
            if now == self.shown:
                return
            self.hide()
            try:
                if now:
                    self.subscription = tasks.channel._create_client().pubsub()  # noqa: SLF001 -- not the loop's
                    self.subscription.subscribe(*(presence(tasks.channel, queue) for queue in now))
                self.shown = now
            except (RedisError, OSError) as error:
                log.warning("presence: this worker is not counted, trying again in %s s: %s", LOOK, error)
                self.hide()

        def hide(self) -> None:
            if self.subscription is not None:
                self.subscription.close()
            self.subscription, self.shown = None, frozenset()

    app.steps["consumer"].add(Presence)
