"""Messages as text from Redis turned into kombu's, and the faults of those that are none."""

from __future__ import annotations

from typing import Any

from kombu.transport import virtual

from celery_runtime.decoding import decode
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


def parse(raw: bytes, tag: str) -> dict[str, Any]:
    """Decode a message; it gets the tag it was claimed with and, like quorum queues do, the count of its deliveries.

    Raises MalformedError.
    """
    try:
        payload = decode(raw.decode())
    except Exception as error:
        raise MalformedError(f"{type(error).__name__}: {error}") from error
    if not isinstance(payload, dict) or not isinstance(payload.get("properties"), dict):
        raise MalformedError("it has no properties")
    headers, properties = payload.setdefault("headers", {}), payload["properties"]
    if not isinstance(headers, dict) or not isinstance(properties.get("delivery_info", {}), dict):
        raise MalformedError("its headers or its delivery_info are no table")
    properties["delivery_tag"] = tag
    count = deliveries(tag)
    if count:
        headers["x-delivery-count"] = count
    return payload
