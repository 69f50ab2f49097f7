"""The events of the tasks that children ran: a child notes them at the task's end, its parent writes and sends them.

They pass through shared memory, at which the parent looks at each tick: to be woken by each task cost it more than to
send its events. It adds them to what it sends next (celery_runtime.event_batches), as JSON that it writes itself, in a
fifth of the encoder's time. A task that runs for longer than the supervisor's ANNOUNCE is told of while it runs. A note
that finds no room is dropped and counted: to be watched must not slow a worker down.
"""

from __future__ import annotations

import time
from json.encoder import encode_basestring_ascii as quoted
from math import isfinite
from typing import Any

from celery import states
from celery.utils.time import utcoffset

from celery_runtime import metrics
from celery_runtime.direct import internals
from celery_runtime.direct.ring import LONGEST, Ring
from celery_runtime.direct.slot import Field, Slot

ROOM = 1 << 18  # bytes: the notes of a child in the 0.1 s between two looks, at 10 000 tasks/s
_SHOWN = 512  # characters of an argument's, a result's or an error's text
_KINDS = {"": "succeeded", states.RETRY: "retried", states.FAILURE: "failed"}


class Recorder:
    """The child's side of its parent's `stream`."""

    def __init__(self, stream: Ring, slot: Slot) -> None:
        self._stream = stream
        self._slot = slot
        self._dropped = 0

    def record(self, work: Any, began: float, answer: Any) -> None:
        """Note a task that ended. `began`: Unix seconds; `answer`: the tracer's."""
        request, info, numbers = work.request, answer.info, self._slot.numbers
        if info is None:
            text, trace = answer.retstr, ""
        else:
            text = repr(getattr(info.retval, "exc", None) or info.retval)
            trace = getattr(answer.retval, "traceback", "")
        fields = (
            self._dropped,
            work.id,
            numbers[Field.ANNOUNCED] == numbers[Field.SEQUENCE],
            request.get("shadow") or work.task.name,
            str(request.get("argsrepr") or "")[:_SHOWN],
            str(request.get("kwargsrepr") or "")[:_SHOWN],
            request.get("root_id") or "",
            request.get("parent_id") or "",
            request.get("retries") or 0,
            began,
            time.time(),
            answer.runtime,
            "" if info is None else info.state,
            str(text)[:_SHOWN],
            str(trace)[-_SHOWN:],
        )
        note = "\0".join(map(str, fields)).encode(errors="surrogatepass")
        self._dropped = 0 if len(note) <= LONGEST and self._stream.write(note) else self._dropped + 1


def tell(eventer: Any, stream: Ring) -> None:
    """Add what was noted since the last look to what `eventer` sends next, or forget it when nobody wants to hear."""
    for note in stream.read():
        if eventer is not None and eventer.enabled:
            try:
                dropped, events = _events(eventer, note.decode(errors="surrogatepass").split("\0"))
            except ValueError:  # not what a child writes
                dropped, events = 1, []
            if dropped:
                metrics.count("events_dropped", dropped)
            for event in events:
                internals.buffer_event(eventer, event)


def _events(eventer: Any, fields: list[str]) -> tuple[int, list[str]]:
    """How many notes were dropped before, and the events in JSON, without clock and end. Raises ValueError."""
    dropped, task_id, announced, name, args, kwargs, root, parent, retries, began, ended, runtime, *rest = fields
    state, text, trace = rest
    origin = f'"uuid":{quoted(task_id)},"hostname":{quoted(eventer.hostname)},"pid":{eventer.pid}'
    origin += f',"utcoffset":{utcoffset()},"timestamp":'
    events = []
    if announced == "False":
        start = _number(began)
        facts = f'"name":{quoted(name)},"args":{quoted(args)},"kwargs":{quoted(kwargs)},"retries":{int(retries)}'
        kin = f'"root_id":{_id(root)},"parent_id":{_id(parent)},"eta":null,"expires":null'
        events.append(f'{{"type":"task-received",{origin}{start},{facts},{kin},"clock":')
        events.append(f'{{"type":"task-started",{origin}{start},"clock":')
    kind = _KINDS.get(state)
    if kind == "succeeded":
        result = f'"result":{quoted(text)},"runtime":{_number(runtime)}'
        events.append(f'{{"type":"task-succeeded",{origin}{_number(ended)},{result},"clock":')
    elif kind is not None:
        error = f'"exception":{quoted(text)},"traceback":{quoted(trace)}'
        events.append(f'{{"type":"task-{kind}",{origin}{_number(ended)},{error},"clock":')
    return int(dropped), events


def _id(text: str) -> str:
    return quoted(text) if text else "null"


def _number(text: str) -> float:
    """Raises ValueError for what JSON does not have."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number
