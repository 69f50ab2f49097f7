"""Which messages a child may run itself: those for which stock's worker would do nothing but run them.

Everything else is Celery's own code's to judge, in the parent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

from kombu.compression import decompress

from celery_runtime.dead_letters.faults import JSON, wrong_arguments, wrong_options
from celery_runtime.decoding import decode
from celery_runtime.direct import internals
from celery_runtime.direct.orders import Orders, TaskOrder
from celery_runtime.redis_transport.messages import MalformedError

# Headers of tasks that wait, or may not run any more; a message that was delivered before is looked at once more too.
SPECIAL = ("eta", "expires", "stamped_headers", "x-delivery-count", "redelivered")


Parse = Callable[[bytes, str, str], dict[str, Any]]


class Work(NamedTuple):
    """A task to be run. `place`: of its name in `Orders.tasks`; soft and hard: seconds, 0: none."""

    id: str
    task: Any
    place: int
    request: dict[str, Any]
    soft: float
    hard: float


class Reader:
    """Turns messages into work.

    parse: takes a message, its queue and its tag apart, as those of Redis are. Raises MalformedError.
    defaults: soft and hard time limit of the worker, in seconds, 0: none.
    """

    def __init__(self, tasks: Any, parse: Parse, orders: Orders, hostname: str, defaults: tuple[float, float]) -> None:
        self.tasks = tasks
        self.parse = parse
        self.orders = orders
        self.hostname = hostname
        self.defaults = defaults
        self.said: list[TaskOrder] = []
        self._indices = {name: index for index, name in enumerate(orders.tasks)}

    def read(self, raw: bytes, queue: str, tag: str) -> Work | None:
        """The work in a message; None when the parent must see it."""
        try:
            payload = self.parse(raw, queue, tag)
            return self._work(payload["headers"], payload["properties"], payload)
        except (MalformedError, KeyError, TypeError, ValueError):
            return None

    def _work(self, headers: dict[str, Any], properties: dict[str, Any], payload: dict[str, Any]) -> Work | None:
        index = self._indices[headers["task"]]
        order = self.said[index]
        if not order.direct or any(headers.get(name) for name in SPECIAL) or wrong_options(headers):
            return None
        info = payload["delivery_info"]
        if info.get("redelivered"):
            return None
        if self.orders.perhaps_revoked(headers["id"]):
            return None
        if payload["content-type"] != JSON or payload["content-encoding"] != "utf-8":
            return None
        body = decode(_text(payload["body"], properties.get("body_encoding"), headers.get("compression")))
        if not isinstance(body, list) or wrong_arguments(body):
            return None
        hard, soft = headers.get("timelimit") or (None, None)
        request = internals.request_of(headers, properties, info, body, self.hostname)
        return Work(
            headers["id"],
            self.tasks[headers["task"]],
            index,
            request,
            soft or order.soft or self.defaults[0],
            hard or order.hard or self.defaults[1],
        )


def _text(body: str | bytes, encoding: str | None, compression: str | None) -> str:
    """The body as JSON. Raises ValueError, or KeyError for a compression that nobody knows."""
    if isinstance(body, bytes):
        return _decompressed(body, compression) if compression else body.decode()
    if encoding not in {None, "utf-8", "base64"}:
        raise ValueError(encoding)
    if compression:
        packed = base64.b64decode(body) if encoding == "base64" else body.encode()
        return _decompressed(packed, compression)
    return base64.b64decode(body).decode() if encoding == "base64" else body


def _decompressed(body: bytes, compression: str) -> str:
    try:
        return str(decompress(body, compression), "utf-8")
    except Exception as error:  # each of the codecs has errors of its own
        raise ValueError(str(error)) from error
