"""Messages that no worker can or should run: parked with the reason, and put back when the reason is gone.

Stock Celery acknowledges a message that it cannot read or whose task it does not know, and runs a task that kills its
worker for ever. Here such a message goes to `dead.QUEUE`, a list on Redis and a quorum queue on RabbitMQ, together with
the reason, the time, the worker, and all of the original message. `celery-runtime dead-letters` lists, shows, replays
and purges them.

| reason       | what happened                                                                                    |
|--------------|--------------------------------------------------------------------------------------------------|
| unknown-task | no worker of the queue has a task of that name; typical while a deploy runs                      |
| undecodable  | the body cannot be decoded or decompressed                                                       |
| content-type | the body's content type is not accepted; a pickle, for example                                   |
| not-a-task   | it is no task message, or on Redis no message at all                                             |
| arguments    | id, arguments or options of the task are not what the protocol asks for                          |
| poison       | the task killed its process until its retries were used up, or DELIVERY_LIMIT workers died of it |
| rejected     | the task raised Reject(requeue=False)                                                            |
| expired      | RabbitMQ dropped it: its publisher set a time to live                                            |

On Redis one script parks a message and takes it from its worker. RabbitMQ confirms the dead letter before the message
is acknowledged; a crash in between parks it twice. Arguments that do not fit the task's signature are refused where the
task is called (`typing`); from elsewhere they are an ordinary failure of the task, a TypeError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

    from celery_runtime.settings import RuntimeSettings

REASONS = ("unknown-task", "undecodable", "content-type", "not-a-task", "arguments", "poison", "rejected", "expired")


def install(app: Celery, settings: RuntimeSettings) -> None:
    """Let the workers of `app` park what they cannot run. Reads DELIVERY_LIMIT."""
    app.celery_runtime_delivery_limit = settings.delivery_limit
    prefix = "" if settings.broker == "redis" else "RabbitMQ"
    app.conf.worker_consumer = f"celery_runtime.dead_letters.worker:{prefix}Consumer"


def depth(connection: Any, queue: str) -> int:
    """How many dead letters `queue` has: one LLEN, or one passive declaration.

    connection: of kombu, to the broker of the app.
    """
    from celery_runtime.dead_letters.boxes import box_of

    return box_of(connection, queue).depth()
