"""Messages as text from Redis turned into kombu's, and the faults of those that are none."""

from __future__ import annotations

from typing import Any

from kombu.transport import virtual

from celery_runtime.redis_transport.scripts import deliveries


class MalformedError(ValueError):
    """What was in the queue is not a message that kombu wrote."""


class Message(virtual.Message):  # type: ignore[misc]
    """kombu's message; its body or envelope may be anything, since anybody may push to a list."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedError(f"{type(error).__name__}: {error}") from error


def label(payload: Any, tag: str) -> dict[str, Any]:
    """Give a decoded message the tag it was claimed with and, like quorum queues do, the count of its deliveries."""
    if not isinstance(payload, dict) or not isinstance(payload.get("properties"), dict):
        raise MalformedError("it has no properties")
    payload["properties"]["delivery_tag"] = tag
    count = deliveries(tag)
    if count and isinstance(payload.get("headers"), dict):
        payload["headers"]["x-delivery-count"] = count
    return payload
