"""How many messages a worker takes ahead of its children: none, unless its tasks are so short that it would wait.

A broker needs a round trip to send the next message. Where a task takes as long as that or less, messages taken ahead
double the throughput; where tasks are long, one that was taken ahead waits for a child here while another worker is
free. So a worker takes as many for each child as run in some 30 ms, and gives back what has not begun as soon as one
takes long.

A quorum queue reads the limit when its consumer begins, so a change ends the consumer and begins it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SHORT, TINY = 0.005, 0.001  # seconds that a task takes, from its message to its result
FEW, MANY = 7, 31  # messages for each child beside its own while tasks are short, and tiny: 5000 and 6000 no-ops/s
MOST = 128  # of them all, however many children: they are in memory
LONG = 0.025  # seconds that one of them may take before what waits behind it is given back
WEIGHT = 0.05  # of the newest task in the average
ENOUGH = 8  # tasks of each child in the time between two looks
PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds until messages are taken ahead again; doubled when it was wrong again


class Prefetch:
    """The limit of one connection's consumers."""

    def __init__(self) -> None:
        self.ahead = 0  # messages for each child
        self._average = SHORT
        self._ended = 0
        self._pause = PAUSE
        self._since = self._not_before = 0.0
        self._limit = 0

    def begin(self, consumer: Any, children: int) -> None:
        """Of a new connection, that does not consume yet: nothing is taken ahead."""
        self.ahead, self._limit = 0, children
        consumer.channel.basic_qos(0, children, False)

    @property
    def together(self) -> int:
        """How many settlements are sent together: half of what may be out, lest RabbitMQ waits for them."""
        return self._limit // 2 if self.ahead else 1

    def count(self, runtime: float) -> None:
        """A task ended that ran for `runtime` seconds."""
        self._average += (runtime - self._average) * WEIGHT
        self._ended += 1

    def look(self, consumer: Any, children: int, oldest: float, *, waits: bool, give_back: Callable[[], None]) -> None:
        """Change the limit if it should be another.

        oldest: seconds that the task which has run for longest has run. waits: whether a message waits for a child.
        give_back: returns those that wait.
        """
        now = time.monotonic()
        back = _nothing
        if self.ahead and (self._average > SHORT or (waits and oldest > LONG)):
            self.ahead, back = 0, give_back
            steady = now - self._since > LONGEST_PAUSE
            self._pause = PAUSE if steady else min(2 * self._pause, LONGEST_PAUSE)
            self._not_before = now + self._pause
        elif self._average < SHORT and self._ended >= ENOUGH * children and now > self._not_before:
            self._since = self._since if self.ahead else now
            self.ahead = self._worth()
        self._ended = 0
        limit = children + min(children * self.ahead, MOST)
        if limit and limit != self._limit:
            if not self.ahead and limit < self._limit:
                back = give_back  # there are fewer children
            self._limit = limit
            _begin_again(consumer, limit, back)

    def _worth(self) -> int:
        """How many should be taken ahead for each child; not another number for each change of the average."""
        if self._average < TINY:
            return MANY
        return FEW if self._average > 2 * TINY else self.ahead or FEW


def _begin_again(consumer: Any, limit: int, between: Callable[[], None]) -> None:
    """End the consumer of each queue and begin it with another limit.

    `between` is called when nothing more comes. What is held then counts as part of the limit (tried with 4.0.5).
    """
    channel, active = consumer.channel, consumer._active_tags  # noqa: SLF001 -- kombu's names of its consumers
    tags = [(queue, active[queue.name]) for queue in consumer.queues if queue.name in active]
    kept = {tag: (channel.callbacks[tag], channel.cancel_callbacks.get(tag)) for _, tag in tags}
    for _, tag in tags:
        channel.basic_cancel(tag)
    between()
    channel.basic_qos(0, limit, False)
    for queue, tag in tags:
        callback, on_cancel = kept[tag]
        arguments = queue.consumer_arguments
        channel.basic_consume(queue.name, tag, callback=callback, arguments=arguments, on_cancel=on_cancel, nowait=True)


def _nothing() -> None:
    """What is ahead stays: it runs in a moment."""
