"""Queues on RabbitMQ, in one request to its management API, which knows what consumers hold and is not told by AMQP.

It refreshes its figures every 5 s. Nobody can ask a quorum queue for its oldest message without taking it, which counts
as a delivery. So its age is reckoned: a queue is worked off in order, and what has entered it is what is in it and what
has left. Tried on RabbitMQ 4.0.5.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections import deque
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from celery_runtime.collector import Numbers, QueueNumbers
from celery_runtime.redis_transport import keys

TIMEOUT = 5.0  # seconds
COLUMNS = "name,messages_ready,messages_unacknowledged,consumers,message_stats.ack"
DELAYED = "celery_delayed_"  # kombu's names of the levels through which messages with a countdown come
MOST = 10_000  # looks that are remembered of a queue; above, every second one is forgotten


class RabbitMQBroker:
    """management: http(s)://USER:PASSWORD@HOST:PORT/VHOST"""

    def __init__(self, management: str) -> None:
        parts = urlsplit(management)
        host = parts.netloc.rpartition("@")[2]
        vhost = quote(unquote(parts.path.removeprefix("/")) or "/", safe="")
        login = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
        self._request = urllib.request.Request(  # noqa: S310 -- settings allow http and https only
            f"{parts.scheme}://{host}/api/queues/{vhost}?columns={COLUMNS}&disable_stats=false",
            headers={"Authorization": "Basic " + base64.b64encode(login.encode()).decode()},
        )
        # As AMQP, past any HTTP_PROXY of the environment.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._heads: dict[str, Heads] = {}

    def look(self, queues: list[str]) -> Numbers:
        """Raises OSError when RabbitMQ does not answer or refuses, ValueError for what is no answer of it."""
        with self._opener.open(self._request, timeout=TIMEOUT) as answer:
            found = {queue["name"]: queue for queue in json.load(answer)}
        now = time.monotonic()
        delayed = sum(_count(queue, "messages_ready") for name, queue in found.items() if name.startswith(DELAYED))
        return Numbers({name: self._numbers(name, found, now) for name in queues}, delayed)

    def _numbers(self, name: str, found: dict[str, Any], now: float) -> QueueNumbers:
        queue, dead = found.get(name, {}), found.get(keys.dead(name), {})
        ready, held = _count(queue, "messages_ready"), _count(queue, "messages_unacknowledged")
        left = _count(queue.get("message_stats") or {}, "ack")
        heads = self._heads.setdefault(name, Heads())
        return QueueNumbers(
            ready=ready,
            in_flight=held,
            consumers=_count(queue, "consumers"),
            dead_letters=_count(dead, "messages_ready") + _count(dead, "messages_unacknowledged"),
            oldest=heads.age(now, ready, held + left),
        )


class Heads:
    """For how long the message at the head of a queue has waited, as far as one has looked."""

    def __init__(self) -> None:
        self._entered: deque[tuple[float, int]] = deque()  # when it was seen first that so many had come
        self._gone = 0  # what left without an acknowledgement, and what a restart of the broker forgot

    def age(self, now: float, ready: int, left: int) -> float:
        """Seconds. left: messages that are not ready any more: held, or acknowledged."""
        before = self._entered[-1][1] if self._entered else 0
        entered = ready + left + self._gone
        if entered < before:
            self._gone += before - entered
            entered = before
        if entered > before or not self._entered:
            self._entered.append((now, entered))
        head = entered - ready + 1
        while len(self._entered) > 1 and self._entered[0][1] < head:
            self._entered.popleft()
        if len(self._entered) > MOST:
            self._entered = deque(list(self._entered)[::2])
        return now - self._entered[0][0] if ready else 0.0


def _count(numbers: dict[str, Any], name: str) -> int:
    """0 for a queue that was declared just now: its figures come later."""
    return int(numbers.get(name) or 0)
