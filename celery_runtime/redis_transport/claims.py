"""The claims of one channel: when to ask Redis for messages, when to wait, and what to do with its answers.

The primary connection carries claims and acknowledgements and never blocks; each list that the channel consumes has a
waiting connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty
from time import monotonic
from typing import Any, NamedTuple

from kombu.log import get_logger
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import NoScriptError

from celery_runtime.redis_transport.scripts import CLAIM
from celery_runtime.redis_transport.waiting import Waiter

FULL_PAUSE = 1.0  # seconds
WOKEN_WAIT = 0.5  # seconds; who only wakes others has nothing else that keeps a stopping worker waiting
CLAIM_MAX = 64  # messages in one step; it bounds how long other clients of Redis wait for it
logger = get_logger(__name__)


class Claimed(NamedTuple):
    queue: str
    tag: str
    raw: bytes
    recorded: bool  # in unacked


class Claims:
    """The state of one channel's claims. `unrecorded` are the queues that it consumes without acknowledgement."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.unrecorded: set[str] = set()
        self.idle = False  # the last claim found nothing
        self.claimers: Any = None  # processes of this worker that claim for themselves, once they are woken
        self._waiters: dict[str, Waiter] = {}
        self._not_before = 0.0  # monotonic seconds
        self._queues: list[tuple[str, bool]] = []  # of the claim under way, and whether it records
        self._acks: list[tuple[str, str]] = []  # that it carries
        self._load_script = False
        self._searched = False  # whether the claim under way looks for messages
        self._searched_at = 0.0  # monotonic seconds

    def turn(self) -> None:
        """Send what there is to send, unless the answer to the last claim is still to come."""
        channel = self.channel
        if channel._in_poll:
            return
        room = 0 if self.idle or monotonic() < self._not_before else self._room()
        if room and self.claimers is not None:
            self.claimers.wake()
            self.idle, self._searched_at, room = True, monotonic(), 0
        if room:
            self._send(min(room, CLAIM_MAX))
        elif channel.held.acks:
            self._send(0)

    def waiters_to_start(self) -> list[Waiter]:
        """One for each list: none while there may be something to claim, or no room for it."""
        if not self.idle or not self._room() or monotonic() < self._not_before:
            return []
        lists = [(queue, key) for queue in self.channel.active_queues for key in self.channel.steps.lists(queue)]
        for queue, key in lists:
            if key not in self._waiters:
                self._waiters[key] = Waiter(self.channel, queue, key)
        return [waiter for _, key in lists if not (waiter := self._waiters[key]).sent]

    def retire(self) -> None:
        """End the waiting connections of queues that are consumed no longer: replies have a queue for each question."""
        wanted = {key for queue in self.channel.active_queues for key in self.channel.steps.lists(queue)}
        for key, waiter in list(self._waiters.items()):
            # One that waits for a message that somebody must acknowledge may still move it, and has to say so.
            if key not in wanted and (not waiter.sent or waiter.queue in self.unrecorded):
                del self._waiters[key]
                waiter.end()
        self.unrecorded.intersection_update(self.channel.active_queues)

    @property
    def longest_wait(self) -> float:
        """Seconds after which a waiting connection asks again, so that a dead one shows; 0: it never does."""
        longest = self.channel.brpop_timeout or 0
        return min(longest, WOKEN_WAIT) if self.claimers is not None else longest

    @property
    def waiting(self) -> list[Waiter]:
        return [waiter for waiter in self._waiters.values() if waiter.sent]

    def under_way(self) -> list[tuple[Any, float]]:
        """The connections that wait for an answer, each with the moment (monotonic seconds) of its question."""
        asked = [(waiter.client.connection, waiter.sent) for waiter in self.waiting]
        primary = self.channel._in_poll
        return [*asked, (primary, self.channel._brpop_sent_at)] if primary else asked

    def unasked(self, name: str) -> Any:
        """The connection of the handler `name` if nothing was asked on it, so that the server must have closed it."""
        if name == "BRPOP":
            return None if self.channel._in_poll else self.channel.client.connection
        waiters = [waiter for waiter in self._waiters.values() if waiter.name == name and not waiter.sent]
        return waiters[0].client.connection if waiters else None

    def woken(self, waiter: Waiter, *, moved: bool) -> None:
        """Take note of a waiter's answer: a message was moved to `claiming`, or its time is over.

        Then it is time to look whether a worker died and left something there.
        """
        if moved and not self._room():
            self.channel.steps.give_back(waiter.queue)  # for a worker that has room
        elif moved or monotonic() - self._searched_at >= self.longest_wait:
            self.idle = False

    def pause(self) -> None:
        """Let a full Redis be: waiting needs memory there, claiming does not."""
        self.idle = False
        self._not_before = monotonic() + FULL_PAUSE

    def read(self) -> list[Claimed]:
        """Read the answer to the claim under way; raises Empty when there is nothing to deliver."""
        channel = self.channel
        connection = channel.client.connection
        try:
            absent, claimed = connection.read_response()
        except NoScriptError:
            self.unsend()
            self._load_script = True
            raise Empty from None
        except BaseException as error:
            self.unsend()
            if isinstance(error, channel.connection_errors):
                connection.disconnect()
            raise
        late = monotonic() - channel._brpop_sent_at > channel.visibility_timeout / 2
        channel._in_poll, self._load_script = None, False
        self._report_absent({bytes_to_str(tag) for tag in absent})
        messages = list(self._messages(claimed))
        if late or channel._closing:  # somebody else may have them by now
            channel.put_back(messages)
            messages = []
        if self._searched:
            self.idle = not messages
        if not messages:
            raise Empty
        return messages

    def unsend(self) -> None:
        """Acknowledgements whose fate is unknown are sent again: if they had arrived they find nothing."""
        self.channel._in_poll = None
        self.channel.held.acks.extendleft(reversed(self._acks))
        self.channel.held.repeated.update(tag for _, tag in self._acks)
        self._acks = []

    def forget(self, connection: Any) -> None:
        """Take note that a connection broke."""
        if self.channel._in_poll is connection:
            self.unsend()
        for waiter in self.waiting:
            if waiter.client.connection is connection:
                waiter.sent = 0.0

    def _send(self, room: int) -> None:
        channel = self.channel
        names = channel._queue_cycle.consume(len(channel.active_queues)) if room else []
        acks = channel.held.acks
        self._acks = [acks.popleft() for _ in range(min(len(acks), CLAIM_MAX))]
        self._searched = room > 0
        if room:
            self._searched_at = monotonic()
        arguments = channel.steps.claim_arguments(names, self._acks, room, self.unrecorded)
        self._queues = [(queue, queue not in self.unrecorded) for queue in arguments.queues]
        connection = channel.client.connection
        channel._in_poll, channel._brpop_sent_at = connection, monotonic()
        how, what = ("EVAL", CLAIM) if self._load_script else ("EVALSHA", channel.steps.claim_sha)
        try:
            connection.send_command(how, what, len(arguments.keys), *arguments.keys, *arguments.values)
        except BaseException:
            self.unsend()
            raise

    def _room(self) -> int:
        """How many messages may be claimed now."""
        channel = self.channel
        if not channel.active_queues or channel._closing:
            return 0
        if self.claimers is not None:
            return int(self.claimers.free())
        if not channel.qos.can_consume():
            return 0
        if channel.connection.loop is None:  # drain_events() delivers one event
            return 1
        if "can_consume" in channel.qos.__dict__:  # worker_disable_prefetch: it only tells about the next one
            return 1
        estimate = channel.qos.can_consume_max_estimate()
        return CLAIM_MAX if estimate is None else int(estimate)

    def _report_absent(self, absent: set[str]) -> None:
        sent, self._acks = {tag for _, tag in self._acks}, []
        repeated = self.channel.held.repeated
        for tag in absent - repeated:
            logger.warning("the message %s was acknowledged after its lease had ended; it runs again elsewhere", tag)
        repeated -= sent

    def _messages(self, claimed: list[Any]) -> Iterator[Claimed]:
        for number, tag, raw in zip(claimed[::3], claimed[1::3], claimed[2::3], strict=True):
            queue, recorded = self._queues[int(number) - 1]
            yield Claimed(queue, bytes_to_str(tag), raw, recorded)
