"""What this process has claimed from Redis and not yet settled."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any


class Held:
    """The messages of one channel, or of all channels that a worker has one after the other.

    messages: delivery tag -> kombu's message; what counts against the prefetch limit.
    acks: (queue, delivery tag) that were settled here and wait to be sent; safe to append to from any thread.
    repeated: delivery tags among them that were sent before, over a connection that broke before the answer.
    returns: (queue, delivery tag) that the next channel hands back.
    loop: of the worker, which carries acknowledgements whatever becomes of the channel.
    children: pool processes that hold messages themselves, as (queue, delivery tag): `children.held()`.
    outlives: whether running tasks keep their messages when the channel is lost; the next channel then goes on.
    """

    def __init__(self, *, outlives: bool = False) -> None:
        self.messages: OrderedDict[str, Any] = OrderedDict()
        self.acks: deque[tuple[str, str]] = deque()
        self.repeated: set[str] = set()
        self.returns: deque[tuple[str, str]] = deque()
        self.loop: Any = None
        self.children: Any = None
        self.outlives = outlives
        self._queues: dict[str, str] = {}

    def add(self, tag: str, queue: str, message: Any) -> None:
        self._queues[tag] = queue
        self.messages[tag] = message

    def drop(self, tag: str) -> str | None:
        """Forget a message; returns its queue, or None when it was settled, handed back or lost before."""
        self.messages.pop(tag, None)
        return self._queues.pop(tag, None)

    def queue_of(self, tag: str) -> str | None:
        return self._queues.get(tag)

    def settle(self, tag: str) -> bool:
        """Note an acknowledgement that is to be sent; returns whether the message was held."""
        queue = self.drop(tag)
        if queue is not None:
            self.acks.append((queue, tag))
        return queue is not None

    def keep_only(self, tags: set[str]) -> None:
        """Move all other messages to `returns`, which the next channel hands back first."""
        for tag in [tag for tag in self._queues if tag not in tags]:
            queue = self.drop(tag)
            if queue is not None:
                self.returns.append((queue, tag))

    def only(self, tags: set[str]) -> list[tuple[str, str]]:
        """Those of `tags` that are held, as (queue, delivery tag), the oldest first."""
        return [(queue, tag) for tag, queue in self._queues.copy().items() if tag in tags]

    def by_queue(self) -> dict[str, list[str]]:
        """The delivery tags of each queue that are held here or in the pool."""
        pairs = [(queue, tag) for tag, queue in self._queues.copy().items()]
        return group(dict.fromkeys(pairs + self.of_children()))

    def of_children(self) -> list[tuple[str, str]]:
        return self.children.held() if self.children is not None else []


def group(pairs: Any) -> dict[str, list[str]]:
    """(queue, tag) pairs as the tags of each queue, in order."""
    tags: dict[str, list[str]] = {}
    for queue, tag in pairs:
        tags.setdefault(queue, []).append(tag)
    return tags
