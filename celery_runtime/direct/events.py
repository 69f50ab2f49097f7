"""The events of the tasks that children ran: one record from the child at a task's end, three events from the parent.

The parent adds them to what it sends next (celery_runtime.event_batches). A task that runs for longer than
the supervisor's ANNOUNCE is told of while it runs. A record that finds no room in its pipe is dropped and counted: to
be watched must not slow a worker down.
"""

from __future__ import annotations

import marshal
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from celery import states

from celery_runtime.direct import internals
from celery_runtime.direct.slot import Field, Slot

LONGEST = 3000  # bytes; a record must fit PIPE_BUF (4096) so that it is written whole or not at all
_SHOWN = 512  # characters of an argument's, a result's or an error's text
_KINDS = {None: "task-succeeded", states.RETRY: "task-retried", states.FAILURE: "task-failed"}


class Recorder:
    """The child's side. `pipe` has the writing end of its parent's `Stream`."""

    def __init__(self, pipe: int, slot: Slot) -> None:
        self._pipe = pipe
        self._slot = slot

    def record(self, work: Any, number: int, began: float, answer: Any) -> None:
        """Tell of a task that ended. `began`: Unix seconds; `answer`: the tracer's."""
        request, info = work.request, answer.info
        announced = self._slot.numbers[Field.ANNOUNCED] == number
        error = "" if info is None else repr(getattr(info.retval, "exc", None) or info.retval)
        record = (
            work.id,
            announced,
            str(request.get("shadow") or work.task.name),
            *(str(request.get(name) or "")[:_SHOWN] for name in ("argsrepr", "kwargsrepr")),
            request.get("root_id"),
            request.get("parent_id"),
            request.get("retries") or 0,
            began,
            time.time(),
            answer.runtime,
            None if info is None else info.state,
            str(answer.retstr if info is None else error)[:_SHOWN],
            "" if info is None else str(getattr(answer.retval, "traceback", ""))[-_SHOWN:],
        )
        data = marshal.dumps(record)
        try:
            sent = len(data) <= LONGEST and os.write(self._pipe, len(data).to_bytes(2) + data)
        except BlockingIOError:
            sent = False
        if not sent:
            self._slot.numbers[Field.EVENTS_LOST] += 1


class Stream:
    """The parent's side: a pipe of one child."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._read = bytearray()

    def records(self) -> Iterator[tuple[Any, ...]]:
        with suppress(BlockingIOError):
            while data := os.read(self.reading, 1 << 16):
                self._read += data
        while len(self._read) > 2 and len(self._read) >= (end := 2 + int.from_bytes(self._read[:2])):
            yield marshal.loads(self._read[2:end])  # noqa: S302 -- from this process' own child
            del self._read[:end]

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


def tell(eventer: Any, record: tuple[Any, ...]) -> None:
    """Buffer the events of one task that ended."""
    task_id, announced, name, args, kwargs, root, parent, retries, began, ended, runtime, state, text, trace = record
    add = internals.buffer_event
    if not announced:
        facts = {"root_id": root, "parent_id": parent, "retries": retries, "eta": None, "expires": None}
        add(eventer, "task-received", began, uuid=task_id, name=name, args=args, kwargs=kwargs, **facts)
        add(eventer, "task-started", began, uuid=task_id)
    kind = _KINDS.get(state)
    if kind == "task-succeeded":
        add(eventer, kind, ended, uuid=task_id, result=text, runtime=runtime)
    elif kind is not None:
        add(eventer, kind, ended, uuid=task_id, exception=text, traceback=trace)
