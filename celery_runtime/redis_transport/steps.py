"""The scripts with the keys of one channel, run at once on a connection of the channel's pool."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

import redis
from kombu.utils.encoding import bytes_to_str

from celery_runtime.redis_transport import keys
from celery_runtime.redis_transport.held import group
from celery_runtime.redis_transport.scripts import CLAIM, GIVE_BACK, HAND_BACK, RENEW, SWEEP, sha1

SWEPT_AT_ONCE = 100  # messages in one step; it bounds how long other clients of Redis wait for it
STOCK_LOOKED_AT = 1000  # entries of kombu's own `unacked`, which holds those of other queues too

Settled = Iterable[tuple[str, str]]  # (queue, delivery tag)


class ClaimArguments(NamedTuple):
    queues: list[str]
    keys: list[str]
    values: list[Any]


class Steps:
    """Claim, acknowledge, hand back, sweep and renew.

    channel: kombu's; its options name the priorities, the separator and the prefix of all keys.
    pool: of redis-py, when the steps must outlive the channel.
    """

    claim_sha = sha1(CLAIM)

    def __init__(self, channel: Any, pool: Any = None) -> None:
        self.channel = channel
        self.pool = pool
        self._known: dict[str, tuple[str, tuple[str, ...], list[str]]] = {}

    def lists(self, queue: str) -> list[str]:
        """The keys of a queue's lists, the most urgent first."""
        return [self._key(self.channel._q_for_pri(queue, step)) for step in self.channel.priority_steps]

    def claiming(self, queue: str) -> str:
        return self._key(keys.claiming(queue))

    def claim_arguments(self, names: list[str], acks: Settled, room: int, unrecorded: set[str]) -> ClaimArguments:
        """The arguments of CLAIM: claim up to `room` messages from the queues `names` and settle `acks`."""
        settled = group(acks)
        queues = [*names, *(queue for queue in settled if queue not in names)]
        all_keys: list[str] = []
        values: list[Any] = [room]
        for queue in queues:
            name, keys_of, lists = self._of_queue(queue)
            claimed = lists if queue in names else ()
            tags = settled.get(queue, ())
            all_keys += (*keys_of, *claimed)
            values += (name, len(claimed), "0" if queue in unrecorded else "1", len(tags), *tags)
        return ClaimArguments(queues, all_keys, values)

    def _of_queue(self, queue: str) -> tuple[str, tuple[str, ...], list[str]]:
        """The queue's name as JSON, its keys of what is held and on its way, and its lists: the same in every claim."""
        if queue not in self._known:
            self._known[queue] = json.dumps(queue), (*self.holding(queue), self.claiming(queue)), self.lists(queue)
        return self._known[queue]

    def claim_now(self, queue: str, *, record: bool) -> tuple[str, bytes] | None:
        """Claim at most one message; returns its delivery tag and text."""
        arguments = self.claim_arguments([queue], [], 1, set() if record else {queue})
        _, claimed = self._run(CLAIM, arguments.keys, arguments.values)
        return (bytes_to_str(claimed[1]), claimed[2]) if claimed else None

    def acknowledge(self, acks: Settled) -> None:
        arguments = self.claim_arguments([], acks, 0, set())
        if arguments.queues:
            self._run(CLAIM, arguments.keys, arguments.values)

    def hand_back(self, held: Settled, *, to_the_end: bool = False) -> int:
        """Put messages back, at the head of their queues by default; returns how many were still there."""
        push, order = ("LPUSH", 1) if to_the_end else ("RPUSH", -1)  # the oldest comes to the head last
        return sum(
            self._run(
                HAND_BACK,
                [*self.holding(queue), self._key(queue)],
                [push, *self._priorities, json.dumps(queue), *tags[::order]],
            )
            for queue, tags in group(held).items()
        )

    def put_back(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Put claimed messages (queue, text) back that were not recorded."""
        for queue, raw in group(messages).items():
            self._client.rpush(self.claiming(queue), *raw[::-1])
            self.give_back(queue)

    def give_back(self, queue: str) -> None:
        """Put back what is on its way from the lists of `queue` to a worker."""
        self._run(GIVE_BACK, [self.claiming(queue), self._key(queue)], self._priorities)

    def sweep(self, queue: str, age: float) -> int:
        """Put back what nobody renewed for `age` seconds; returns how many."""
        values = [age, SWEPT_AT_ONCE, *self._priorities, json.dumps(queue)]
        return int(self._run(SWEEP, [*self.holding(queue), self._key(queue)], values))

    def sweep_stock(self, queue: str, age: float) -> int:
        """The same with what a plain kombu worker took from `queue` and never acknowledged."""
        channel = self.channel
        all_keys = [self._key(channel.unacked_index_key), self._key(channel.unacked_key), self._key(queue)]
        return int(self._run(SWEEP, all_keys, [age, STOCK_LOOKED_AT, *self._priorities, json.dumps(queue)]))

    def renew(self, held: dict[str, list[str]]) -> list[tuple[str, str]]:
        """Renew the delivery tags of each queue; returns the (queue, tag) pairs that are held no longer."""
        return [
            (queue, bytes_to_str(tag))
            for queue, tags in held.items()
            for tag in self._run(RENEW, list(self.holding(queue)), tags)
        ]

    def server(self) -> tuple[tuple[int, ...], str]:
        """The server's version and mode ("standalone", "cluster"), as far as this user may know them."""
        try:
            hello = self._client.execute_command("HELLO")
        except redis.ResponseError:
            return (sys.maxsize,), "unknown"
        pairs = hello.items() if isinstance(hello, dict) else zip(hello[::2], hello[1::2], strict=False)
        told = {bytes_to_str(name): value for name, value in pairs}
        version = bytes_to_str(told["version"]).split(".")
        return tuple(int(part) for part in version if part.isdigit()), bytes_to_str(told["mode"])

    def _run(self, script: str, script_keys: list[str], values: Any) -> Any:
        return self._client.register_script(script)(keys=script_keys, args=values)

    @property
    def _client(self) -> Any:
        """Without kombu's prefixing, which knows the first key of a script only."""
        return redis.Redis(connection_pool=self.pool or self.channel.pool)

    @property
    def _priorities(self) -> list[str]:
        return [self.channel.sep, ",".join(map(str, self.channel.priority_steps))]

    def holding(self, queue: str) -> tuple[str, str]:
        """The keys of the index and of the hash of claimed messages."""
        return self._key(keys.unacked_index(queue)), self._key(keys.unacked(queue))

    def _key(self, name: str) -> str:
        return f"{self.channel.global_keyprefix}{name}"
