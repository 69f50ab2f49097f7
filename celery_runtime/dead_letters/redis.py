"""Dead letters on Redis: a list of envelopes per queue, newest left.

An envelope is JSON: the fields of Note, and the element of the queue's list as it was, in `message` (text) or `base64`
(bytes that are no UTF-8).

`claim_of` is the one place that knows where the transport keeps a message that a worker holds. Read in kombu 5.7.0:
transport/redis.py (QoS, GlobalKeyPrefixMixin: it prefixes only one key of a script, so all are prefixed here).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, NamedTuple, Self

from celery_runtime.dead_letters.letter import DeadLetter, Note, replayed
from celery_runtime.redis_transport import keys
from celery_runtime.redis_transport.channel import Channel

CHUNK = 200  # letters fetched at once

# KEYS: dead letters, unacked, its index. ARGV: envelope, delivery tag. A write that Redis refuses (out of memory) must
# be the first one: a script is not rolled back.
PARK = """
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
return 1
"""

# KEYS: dead letters, where to. ARGV: envelope, element. LREM from the tail: the oldest letters go first. The push comes
# first for the same reason as above, and is taken back when another command was faster.
MOVE = """
redis.call('LPUSH', KEYS[2], ARGV[2])
if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 1 then return 1 end
redis.call('LPOP', KEYS[2])
return 0
"""


class NotAMessageError(ValueError):
    """An element of a queue's list that kombu cannot take for a message."""


class Claim(NamedTuple):
    """Where Redis holds a message for its worker."""

    unacked: str
    ages: str
    tag: str


def claim_of(message: Any) -> Claim:
    """Find the keys, complete with `global_keyprefix`, under which the transport holds `message`."""
    channel, tag = message.channel, message.delivery_tag
    if isinstance(channel, Channel):
        return Claim(*channel.holding(tag), tag)
    prefix = channel.global_keyprefix
    return Claim(prefix + channel.unacked_key, prefix + channel.unacked_index_key, tag)


def park(message: Any, note: Note) -> bool:
    """Move a message from its worker to the dead letters in one step; False when the worker no longer held it."""
    element = json.dumps(message._raw).encode()  # noqa: SLF001  as it came from the list
    return _park(message.channel, claim_of(message), element, note)


def park_malformed(channel: Channel, tag: str, element: bytes, note: Note) -> bool:
    """The same with an element of the list that is no message."""
    return _park(channel, Claim(*channel.holding(tag), tag), element, note)


def _park(channel: Any, claim: Claim, element: bytes, note: Note) -> bool:
    key = channel.global_keyprefix + keys.dead(note.queue)
    with channel.conn_or_acquire() as client:
        arguments = (key, claim.unacked, claim.ages, _envelope(element, note), claim.tag)
        parked = bool(client.execute_command("EVAL", PARK, 3, *arguments))
    if isinstance(channel, Channel):
        channel.held.drop(claim.tag)  # it is acknowledged, or somebody else's
    return parked


def message_in(element: bytes) -> dict[str, Any]:
    """Decode an element of a queue's list into what kombu takes for a message; raises NotAMessageError."""
    try:
        payload: dict[str, Any] = json.loads(element)
    except (ValueError, RecursionError) as error:
        raise NotAMessageError(f"it is not JSON: {error}") from None
    properties = payload.get("properties") if isinstance(payload, dict) else None
    if not isinstance(properties, dict) or not isinstance(properties.get("delivery_tag"), str):
        raise NotAMessageError("it is no message of kombu: it has no delivery tag")
    for name, value in (("headers", payload.get("headers")), ("delivery_info", properties.get("delivery_info"))):
        if not isinstance(value, dict | None):
            raise NotAMessageError(f"it is no message of kombu: its {name} are a {type(value).__name__}")
    _body_of(payload)
    return payload


def _body_of(payload: dict[str, Any]) -> bytes:
    body, encoding = payload.get("body") or "", payload["properties"].get("body_encoding")
    if not isinstance(body, str):
        raise NotAMessageError(f"it is no message of kombu: its body is a {type(body).__name__}")
    if encoding in {None, "utf-8"}:
        return body.encode()
    if encoding != "base64":
        raise NotAMessageError(f"its body has the unknown encoding {encoding!r}")
    try:
        return base64.b64decode(body)
    except (binascii.Error, ValueError) as error:
        raise NotAMessageError(f"its body is not base64: {error}") from None


def _envelope(element: bytes, note: Note) -> str:
    try:
        message = {"message": element.decode()}
    except UnicodeDecodeError:
        message = {"base64": base64.b64encode(element).decode()}
    return json.dumps(asdict(note) | message)


class RedisBox:
    """The dead letters of one queue."""

    def __init__(self, connection: Any, queue: str) -> None:
        self.queue = queue
        self.channel = connection.default_channel
        self.prefix = self.channel.global_keyprefix
        self.key = self.prefix + keys.dead(queue)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was taken."""

    def depth(self) -> int:
        with self.channel.conn_or_acquire() as client:
            return int(client.llen(keys.dead(self.queue)))  # the one command here to which kombu adds the prefix

    def letters(self) -> Iterator[DeadLetter]:
        """Yield those that are there now, oldest first; what is moved meanwhile is accounted for."""
        left, kept = self.depth(), 0
        while left > 0:
            found = self._run("LRANGE", self.key, -(kept + min(CHUNK, left)), -(kept + 1))
            if not found:
                return
            for envelope in reversed(found):
                self.moved = False
                yield _letter(self.queue, envelope)
                kept += not self.moved
            left -= len(found)

    def replay(self, letter: DeadLetter) -> bool:
        """Put one back at the end of its queue, in one step; False when it is gone."""
        element, queue = self._again(letter)
        return self._moved("EVAL", MOVE, 2, self.key, self.prefix + queue, letter.place, element)

    def drop(self, letter: DeadLetter) -> bool:
        return self._moved("LREM", self.key, -1, letter.place)

    def _again(self, letter: DeadLetter) -> tuple[bytes, str]:
        """The element to push, and the list of the queue that has its priority."""
        element = _element(json.loads(letter.place))
        try:
            payload = message_in(element)
        except NotAMessageError:
            return element, self.queue
        payload["headers"] = replayed(payload.get("headers") or {})
        (payload["properties"].get("delivery_info") or {}).pop("redelivered", None)
        priority = self.channel._get_message_priority(payload)  # noqa: SLF001
        return json.dumps(payload).encode(), self.channel._q_for_pri(self.queue, priority)  # noqa: SLF001

    def _moved(self, *command: Any) -> bool:
        self.moved = bool(self._run(*command))
        return self.moved

    def _run(self, *command: Any) -> Any:
        with self.channel.conn_or_acquire() as client:
            return client.execute_command(*command)


def _element(envelope: dict[str, Any]) -> bytes:
    if "message" in envelope:
        return str(envelope["message"]).encode()
    return base64.b64decode(envelope["base64"])


def _letter(queue: str, place: bytes) -> DeadLetter:
    envelope = json.loads(place)
    element = _element(envelope)
    note = Note.from_dict(envelope | {"queue": queue})
    try:
        payload = message_in(element)
    except NotAMessageError:
        return DeadLetter(note, {}, {}, element, place)
    types = {"content_type": payload.get("content-type"), "content_encoding": payload.get("content-encoding")}
    return DeadLetter(note, payload.get("headers") or {}, {**types, **payload["properties"]}, _body_of(payload), place)
