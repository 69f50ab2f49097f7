"""A message that the parent settles itself, as Celery's requests see it.

It has the custody for its channel, and a delivery tag that names the connection too: what is said about a message of a
connection that was lost is said to nobody.
"""

from __future__ import annotations

from typing import Any

from amqp.basic_message import Message as AMQPMessage
from kombu.transport.pyamqp import Message

from celery_runtime.direct.rabbitmq import frames
from celery_runtime.rabbitmq.worker import PUBLISHED
from celery_runtime.redis_transport.messages import MalformedError


def message_of(queue: str, tag: str, raw: bytes, channel: Any) -> Any:
    """A message of kombu's. Raises MalformedError."""
    try:
        found = frames.content(raw)
        message = AMQPMessage(found.body, channel=channel, **found.properties)
        message.delivery_info = {
            "consumer_tag": frames.address(raw, 0)[0],
            "delivery_tag": tag,
            "redelivered": found.redelivered,
            "exchange": "",
            "routing_key": queue,
            PUBLISHED: (found.exchange, found.routing_key),
        }
        return Message(message, channel=channel)
    except ValueError as error:
        raise MalformedError(str(error)) from error
