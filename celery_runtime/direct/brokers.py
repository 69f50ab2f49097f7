"""What the pool asks of a broker: of the side of its children, and of its parent's.

redis/ and rabbitmq/ have both. A queue is the name of one, a tag says which of its deliveries; `raw` is a message as
the broker has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from celery_runtime.results import Pending

if TYPE_CHECKING:
    from celery_runtime.direct.child import Ties
    from celery_runtime.direct.family import Member


class LostError(Exception):
    """The broker did not answer, or not as it should: whether a step was taken is not known, and it can be repeated."""


class Finished(NamedTuple):
    """A message that is settled with the next step. Either part may be missing."""

    queue: str
    tag: str
    result: Pending | None


class Claimed(NamedTuple):
    queue: str
    tag: str
    raw: bytes
    fresh: bool  # False when so much time went by that another worker may have it


class Source(Protocol):
    """Where one child gets its messages. keeps: whether its slot has to hold the message that it runs."""

    keeps: bool

    def connect(self) -> None:
        """Begin, or begin again after a loss. Raises LostError."""

    def close(self) -> None:
        """The child leaves."""

    def consume(self, names: list[str]) -> None:
        """From now on, these queues."""

    def shares(self, pending: Pending) -> bool:
        """Whether a result is stored where the messages are, so that one step can do both."""

    def step(self, finished: Finished | None, *, claim: bool) -> Claimed | None:
        """Settle `finished`, then claim at most one message. Raises LostError; it may then be called again."""

    def hand_back(self, queue: str, tag: str) -> None:
        """Return a claimed message that is not fresh. Raises LostError."""
        return

    def wait(self, interruptible: Callable[[bool], None]) -> None:
        """Until there is something to look at, or a signal, which may raise while `interruptible` says so."""

    def leave(self, seconds: float) -> None:
        """The process is to end after its task, which may take `seconds` more; 0: for ever."""

    def parse(self, raw: bytes, queue: str, tag: str) -> dict[str, Any]:
        """A message, as kombu's transports have its payload. Raises MalformedError."""


class Custody(Protocol):
    """The parent's answer for messages in the hands of its children. What has a `return` need not be defined.

    feeds: whether the children take what the parent consumes; otherwise they fetch for themselves.
    """

    feeds: bool

    def source(self, ties: Ties) -> Source:
        """For a child, in its own process."""

    # -- the connection

    def attach(self, consumer: Any) -> None:
        """Serve a consumer of Celery's that is connected and does not consume yet."""

    def lose(self) -> None:
        """The connection broke; the children go on."""
        return

    def tick(self) -> None:
        """Ten times a second."""
        return

    def give_back(self) -> None:
        """Return to the broker what no child has begun."""
        return

    def flush(self) -> None:
        """Send what was settled since the last time."""
        return

    def flush_soon(self) -> None:
        """The same, or later together with more."""
        return

    # -- what there is

    @property
    def is_quiet(self) -> bool:
        """Whether no child does anything, or will, until it is told to."""

    def prefetched(self) -> int:
        """Messages that are held and not begun."""

    def queues(self) -> list[str]:
        """What is consumed."""

    def has_room(self) -> bool:
        """Whether another message may be claimed."""

    def wake(self) -> None:
        """Let one child that waits look for what there is to do."""

    def nudge(self) -> None:
        """The same, of a child that waits for messages and does not listen to its parent."""
        return

    # -- what children say

    def done(self, member: Member, connection: int, tag: int, runtime: float) -> None:
        """A message of this connection was run in `runtime` seconds, and needs nothing but its acknowledgement."""
        return

    def later(self, queue: str, tag: str, raw: bytes) -> None:
        """Another worker may still run this task: look again in a while."""
        return

    def deliver(self, queue: str, tag: str, raw: bytes) -> None:
        """Let the worker receive a message as if no child had taken it."""

    def went_on(self, member: Member, *, settled: bool) -> None:
        """A child has let go of what it ran; settled: whether its message needs nothing but its acknowledgement."""
        return

    # -- what becomes of a message

    def raw(self, member: Member, tag: str) -> bytes | None:
        """The message that a child has in hand; None when it cannot be read, or is settled."""

    def message(self, queue: str, tag: str, raw: bytes) -> Any:
        """The same as kombu has it. Raises MalformedError."""

    def forget(self, tag: str) -> None:
        """Its child settled it, and says so itself."""
        return

    def let_go(self, tag: str) -> None:
        """It could not be dealt with: let the broker deliver it again."""

    def hand_back(self, queue: str, tag: str) -> None:
        """Its child died before it began: let another have it."""

    def acknowledge(self, queue: str, tag: str) -> None:
        """Its child died after it had run it."""

    def lost(self, member: Member) -> None:
        """A child died, and what it showed is settled."""
        return
