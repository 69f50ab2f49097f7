import json
from collections import defaultdict
from types import SimpleNamespace

import pytest
from celery import states
from hypothesis import given
from hypothesis import strategies as st
from kombu.clocks import LamportClock

from celery_runtime import metrics
from celery_runtime.direct import events
from celery_runtime.direct.events import ROOM, Recorder, tell
from celery_runtime.direct.ring import Ring
from celery_runtime.direct.slot import Field, Slot

RETURNED = SimpleNamespace(info=None, runtime=0.25, retstr="3", retval=3)


def work(**request):
    facts = {"argsrepr": "[1, 2]", "kwargsrepr": "{}", "root_id": "root", "retries": 1} | request
    return SimpleNamespace(id="an-id", task=SimpleNamespace(name="a.task"), request=facts)


class Eventer:
    hostname, pid, enabled, takes_encoded, buffer_limit = "worker@host", 7, True, True, 10_000

    def __init__(self):
        self.clock = LamportClock()
        self._group_buffer = defaultdict(list)

    @property
    def events(self):
        return [json.loads(text) for text in self._group_buffer["task"]]


@pytest.fixture
def stream():
    return Ring(ROOM)


@pytest.fixture
def slot():
    slot = Slot()
    slot.numbers[Field.SEQUENCE] = 5
    return slot


@pytest.fixture
def eventer():
    return Eventer()


@pytest.fixture
def recorder(stream, slot):
    return Recorder(stream, slot)


def dropped():
    return metrics._counts["events_dropped", ()]


def test_a_task_is_told_of_from_its_receipt_to_its_end(recorder, stream, eventer):
    recorder.record(work(), 100.5, RETURNED)
    tell(eventer, stream)
    received, started, succeeded = eventer.events
    origin = {"uuid": "an-id", "hostname": "worker@host", "pid": 7, "utcoffset": received["utcoffset"]}
    facts = {"name": "a.task", "args": "[1, 2]", "kwargs": "{}", "retries": 1, "eta": None, "expires": None}
    kin = {"root_id": "root", "parent_id": None}
    assert received == {"type": "task-received", **origin, "timestamp": 100.5, **facts, **kin, "clock": 1}
    assert started == {"type": "task-started", **origin, "timestamp": 100.5, "clock": 2}
    assert succeeded.pop("timestamp") > 1e9
    assert succeeded == {"type": "task-succeeded", **origin, "result": "3", "runtime": 0.25, "clock": 3}


@pytest.mark.parametrize(("state", "kind"), [(states.FAILURE, "task-failed"), (states.RETRY, "task-retried")])
def test_a_task_that_was_told_of_while_it_ran_has_its_end_alone(recorder, stream, slot, eventer, state, kind):
    slot.numbers[Field.ANNOUNCED] = 5
    error = SimpleNamespace(
        info=SimpleNamespace(state=state, retval=ValueError("no")),
        runtime=1.0,
        retval=SimpleNamespace(traceback="lines"),
    )
    recorder.record(work(), 100.5, error)
    tell(eventer, stream)
    (ended,) = eventer.events
    assert (ended["type"], ended["exception"], ended["traceback"]) == (kind, "ValueError('no')", "lines")


@given(text=st.text(st.characters(exclude_characters="\0"), max_size=600))
def test_every_text_arrives(text):
    stream, eventer = Ring(ROOM), Eventer()
    Recorder(stream, Slot()).record(work(argsrepr=text), 1.0, SimpleNamespace(**vars(RETURNED) | {"retstr": text}))
    tell(eventer, stream)
    assert eventer.events[-1]["result"] == text[:512]


def test_an_eventer_that_takes_no_json_gets_objects(recorder, stream, eventer):
    eventer.takes_encoded = False
    recorder.record(work(), 1.0, RETURNED)
    tell(eventer, stream)
    assert [event["type"] for event in eventer._group_buffer["task"]][-1] == "task-succeeded"


def test_what_nobody_wants_to_hear_is_forgotten(recorder, stream, eventer):
    recorder.record(work(), 1.0, RETURNED)
    eventer.enabled = False
    tell(eventer, stream)
    eventer.enabled = True
    tell(eventer, stream)
    assert not eventer.events


@given(st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), max_size=40))
def test_notes_come_out_whole_and_in_order_wherever_the_ring_ends(steps):
    stream, expected, found = Ring(ROOM), [], []
    for number, (size, look) in enumerate(steps):
        note = (number.to_bytes(1) * size)[:size]
        if stream.write(note):
            expected.append(note)
        if look:
            found += stream.read()
    found += stream.read()
    assert found == expected


def test_a_note_without_room_is_dropped_and_told_of_by_the_next(recorder, stream, eventer):
    before = dropped()
    while stream.write(b"x" * 60_000):
        pass
    list(stream.read())
    while stream.write(b"\0" * 100):
        pass
    recorder.record(work(), 1.0, RETURNED)
    list(stream.read())
    recorder.record(work(), 1.0, RETURNED)
    tell(eventer, stream)
    assert (len(eventer.events), dropped() - before) == (3, 1)


@pytest.mark.parametrize("wrong", [{"argsrepr": "a\0b"}, {"retries": "many"}])
def test_what_would_break_its_message_is_dropped(recorder, stream, eventer, wrong):
    before = dropped()
    recorder.record(work(**wrong), 1.0, RETURNED)
    tell(eventer, stream)
    assert (eventer.events, dropped() - before) == ([], 1)


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=300))
def test_a_child_that_writes_over_it_does_no_harm(counts, noise):
    stream, eventer = Ring(ROOM), Eventer()
    stream._counts.cast("B")[:] = counts
    stream._ring[: len(noise)] = noise
    tell(eventer, stream)
    Recorder(stream, Slot()).record(work(), 1.0, RETURNED)
    tell(eventer, stream)
    assert eventer.events[-1]["uuid"] == "an-id"


def test_the_longest_note_fits(stream):
    assert stream.write(b"x" * events.LONGEST)
