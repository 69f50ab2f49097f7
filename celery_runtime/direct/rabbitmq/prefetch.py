"""How many messages a worker takes ahead of its children: none, unless its tasks are so short that it would wait.

A broker needs a round trip to send the next message. Where a task takes as long as that or less, messages taken ahead
double the throughput; where tasks are long, one that was taken ahead waits for a child here while another worker is
free. So a worker takes `AHEAD` for each child while its tasks take less than SHORT, and gives back what has not begun
as soon as one takes long.

A quorum queue reads the limit when its consumer begins, so a change ends the consumer and begins it again.
"""

from __future__ import annotations

import time
from typing import Any

SHORT = 0.005  # seconds
LONG = 0.025  # seconds that one of them may take before what waits behind it is given back
AHEAD = 8  # messages for each child; 4 and 8 were equally fast within 4 % (research, RabbitMQ 3.10), 1 was half
WEIGHT = 0.05  # of the newest task in the average
ENOUGH = 8  # tasks of each child in the time between two looks
PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds until messages are taken ahead again; doubled when it was wrong again


class Prefetch:
    """The limit of one connection's consumers."""

    def __init__(self) -> None:
        self.is_ahead = False
        self._average = SHORT
        self._ended = 0
        self._pause = PAUSE
        self._since = self._not_before = 0.0
        self._limit = 0

    def begin(self, consumer: Any, children: int) -> None:
        """Of a new connection, that does not consume yet: nothing is taken ahead."""
        self.is_ahead, self._limit = False, children
        consumer.channel.basic_qos(0, children, False)

    def count(self, runtime: float) -> None:
        """A task ended that ran for `runtime` seconds."""
        self._average += (runtime - self._average) * WEIGHT
        self._ended += 1

    def look(self, consumer: Any, children: int, oldest: float, waiting: bool) -> bool:
        """Change the limit if it should be another; True when what waits is to be given back.

        oldest: seconds that the task which has run for longest has run. waiting: whether a message waits for a child.
        """
        now, give_back = time.monotonic(), False
        if self.is_ahead and (self._average > SHORT or (waiting and oldest > LONG)):
            give_back, self.is_ahead = True, False
            steady = now - self._since > LONGEST_PAUSE
            self._pause = PAUSE if steady else min(2 * self._pause, LONGEST_PAUSE)
            self._not_before = now + self._pause
        elif (
            not self.is_ahead and self._average < SHORT and self._ended >= ENOUGH * children and now > self._not_before
        ):
            self.is_ahead, self._since = True, now
        self._ended = 0
        self._allow(consumer, children * (AHEAD if self.is_ahead else 1))
        return give_back

    def _allow(self, consumer: Any, limit: int) -> None:
        if limit == self._limit or not limit:
            return
        self._limit = limit
        channel = consumer.channel
        channel.basic_qos(0, limit, False)
        for queue in consumer.queues:
            tag = consumer._active_tags.get(queue.name)  # noqa: SLF001
            if tag is not None:
                _begin_again(channel, queue, tag)


def _begin_again(channel: Any, queue: Any, tag: str) -> None:
    callback, cancelled = channel.callbacks[tag], channel.cancel_callbacks.get(tag)
    arguments = queue.consumer_arguments
    channel.basic_cancel(tag, nowait=True)
    channel.basic_consume(
        queue.name, tag, no_ack=False, callback=callback, arguments=arguments, on_cancel=cancelled, nowait=True
    )
