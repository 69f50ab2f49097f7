"""What a child does on RabbitMQ: it takes a message from the line, and tells its parent when that is settled.

It has no connection there. The message that it runs stays its parent's: whatever becomes of the child, it can be
settled, or given to another child, as it was delivered.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.utils.log import get_logger

from celery_runtime.direct.brokers import Claimed, Finished, Source
from celery_runtime.direct.pipe import ChildEnd, Kind
from celery_runtime.direct.rabbitmq import frames
from celery_runtime.direct.rabbitmq.line import Line, unwrap
from celery_runtime.direct.rabbitmq.marks import Marks, State
from celery_runtime.direct.rabbitmq.orphan import Parent, Safe
from celery_runtime.direct.rabbitmq.reports import Reports
from celery_runtime.direct.slot import Slot
from celery_runtime.redis_transport.messages import MalformedError

TOGETHER = 16  # reports after which the parent is told of them, though there is more to run; half of MANY
FULL = 0.01  # seconds until a full ring is tried again: the parent stands still
log = get_logger(__name__)


class RabbitMQSource(Source):
    """line, safe, ties: shared with the parent, which may end before this process."""

    keeps = False  # a message: the parent has it

    def __init__(self, app: Celery, line: Line, safe: Safe, ties: Any) -> None:
        self.line = line
        self.pipe: ChildEnd = ties.pipe
        self._slot: Slot = ties.slot
        self._reports: Reports = ties.reports
        self._untold = 0  # reports of which the parent was not told
        self._safe = safe
        self._marks = Marks(app)
        self._kept: bytes | None = None
        self._parent: Parent | None = None
        self._began = 0.0
        self._looked = False  # for a message, with the step before

    def connect(self) -> None:
        """Tell the parent that this child serves."""
        self._parent = Parent(self._safe)
        self.line.leave_to_parent()
        self.pipe.send(Kind.IDLE)

    def close(self) -> None:
        """Leave no report unheard."""
        self._tell()

    def consume(self, names: list[str]) -> None:
        """What is consumed, the parent says to RabbitMQ."""

    def shares(self, _: Any) -> bool:
        """Results are stored elsewhere."""
        return False

    def step(self, finished: Finished | None, *, claim: bool) -> Claimed | None:
        """Report what is settled, then wait for a message if one may be run; None when there is else to look at."""
        if finished is not None:
            self._report(finished.tag)
        self._looked = claim
        if not claim:
            return None
        message, self._kept = self._kept or self._take(), None
        if message is None:
            return None
        self._began = time.monotonic()
        claimed = Claimed(*unwrap(message), True)
        return None if frames.is_redelivered(claimed.raw) and self._is_dealt_with(claimed) else claimed

    def wait(self, interruptible: Any) -> None:
        """Until there is something to look at. No signal may raise here: what was just taken would be lost."""
        if self._kept is None and not self._looked:
            self._kept = self._take()

    def leave(self, seconds: float) -> None:
        """The process is to end after its task, which may take `seconds` more; 0: for ever."""
        if self._parent is not None and self._parent.is_gone:
            self._parent.outlive(seconds)

    def parse(self, raw: bytes, queue: str, tag: str) -> dict[str, Any]:
        """A message as those of Redis are. Raises MalformedError."""
        try:
            found = frames.content(raw)
        except frames.FrameError as error:
            raise MalformedError(str(error)) from error
        properties = found.properties
        return {
            "headers": properties.get("application_headers") or {},
            "properties": properties,
            "delivery_info": {"exchange": "", "routing_key": queue, "redelivered": found.redelivered},
            "content-type": properties.get("content_type"),
            "content-encoding": properties.get("content_encoding"),
            "body": found.body,
        }

    def _is_dealt_with(self, claimed: Claimed) -> bool:
        """Whether what is delivered again has run, which is reported, or still runs, which the parent waits for."""
        try:
            headers = frames.content(claimed.raw).properties.get("application_headers") or {}
        except frames.FrameError:
            return False
        state = self._marks.look(str(headers["id"]), headers) if "id" in headers else State.UNKNOWN
        if state is State.SETTLED:
            log.info("direct: %s has run before its connection was lost, and is acknowledged", headers["id"])
            self._report(claimed.tag)
        elif state is State.RUNNING:
            self.pipe.send(Kind.LATER, tuple(claimed[:3]))
        return state is not State.UNKNOWN

    def _report(self, tag: str) -> None:
        generation, _, number = tag.partition(".")
        report = int(generation), int(number), time.monotonic() - self._began
        while not self._reports.write(report):
            self._tell()
            time.sleep(FULL)
        self._slot.release()
        self._untold += 1
        if self._untold >= TOGETHER or (self._parent is not None and self._parent.is_gone):
            self._tell()

    def _tell(self) -> None:
        """Let the parent read the reports; without one, acknowledge in its place what it did not read."""
        if self._parent is not None and self._parent.is_gone:
            for generation, number, _ in self._reports.read():
                self._parent.acknowledge(generation, number)
        elif self._untold:
            with suppress(OSError):  # it has just ended, which is looked at again before this process ends
                self.pipe.send(Kind.DONE)
        self._untold = 0

    def _take(self) -> bytes | None:
        """The next message; all is reported before there is a wait for it."""
        try:
            message = self.line.take_now() if self._untold else None
            if message is None:
                self._tell()
                message = self.line.take()
        except EOFError:
            self._tell()
            raise SystemExit(0) from None
        return message
