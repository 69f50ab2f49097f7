"""A dead letter: why, when and where a message was parked, and the message itself, bit for bit."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

REPLAYED = "x-replayed"  # header of a message that was put back: {"count": how often, "time": when last}
COUNTS = ("x-delivery-count", "x-acquired-count", "redelivered")  # what a broker counted before; starts anew


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Note:
    """Why, when and where a message was parked, and how it had been published.

    reason: one of REASONS.
    host: the worker's node name; empty when the broker itself parked the message.
    time: UTC, ISO 8601; empty when it is not known.
    """

    queue: str
    reason: str
    detail: str
    host: str = ""
    exchange: str = ""
    routing_key: str = ""
    time: str = field(default_factory=now)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Note:
        """Take the fields out of what a box stored; more may stand there."""
        return cls(**{each.name: str(values.get(each.name) or "") for each in fields(cls)})


@dataclass(frozen=True)
class DeadLetter:
    """One parked message; `place` is what its box needs to find it again."""

    note: Note
    headers: dict[str, Any]
    properties: dict[str, Any]
    body: bytes
    place: Any = field(default=None, compare=False, repr=False)

    @property
    def id(self) -> str:
        """Twelve digits that stay the same from one listing to the next."""
        note = self.note
        parts = (note.queue, note.time, note.host, note.routing_key, self.task_id)
        return hashlib.sha256("\0".join(parts).encode() + b"\0" + self.body).hexdigest()[:12]

    @property
    def task(self) -> str:
        return _text(self.headers.get("task") or self._protocol_1().get("task"))

    @property
    def task_id(self) -> str:
        return _text(self.headers.get("id") or self._protocol_1().get("id") or self.properties.get("correlation_id"))

    def _protocol_1(self) -> dict[str, Any]:
        body = decoded(self.body) if self.body[:1] == b"{" else None
        return body if isinstance(body, dict) else {}

    def summary(self) -> dict[str, Any]:
        """What a list shows."""
        note = {name: getattr(self.note, name) for name in ("queue", "reason", "time", "host", "detail")}
        return {"id": self.id, "task": self.task, "task_id": self.task_id, **note}

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        message = {
            "exchange": self.note.exchange,
            "routing_key": self.note.routing_key,
            "headers": self.headers,
            "properties": self.properties,
            "body": decoded(self.body),
        }
        plain: dict[str, Any] = json.loads(json.dumps(self.summary() | {"message": message}, default=str))
        return plain


def replayed(headers: dict[str, Any]) -> dict[str, Any]:
    """The headers with which a message goes back to its queue."""
    before = headers.get(REPLAYED)
    count = before.get("count", 0) if isinstance(before, dict) else 0
    kept = {name: value for name, value in headers.items() if name not in COUNTS}
    return kept | {REPLAYED: {"count": count + 1, "time": now()}}


def decoded(body: bytes) -> Any:
    """The body as what it most likely is: JSON, text, or base64 of bytes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
