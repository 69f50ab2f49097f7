"""When RabbitMQ is told of what was settled."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from celery_runtime.direct.rabbitmq.frames import settlement
from celery_runtime.direct.rabbitmq.settlements import Settlements


class Wire:
    """A channel, its connection and the worker's timer: what was written, and what is due."""

    def __init__(self):
        self.channel_id, self.connection, self.transport = 3, self, self
        self.bytes_sent = 0
        self.written, self.due = [], []

    def write(self, data):
        if self.written == ["broken"]:
            raise OSError
        self.written.append(data)

    def call_after(self, seconds, call):
        self.due.append(call)


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def settlements(wire):
    settlements = Settlements()
    settlements.attach(wire, SimpleNamespace(call_after=wire.call_after))
    return settlements


def frames(*tags):
    return b"".join(settlement(3, tag, acknowledge=True) for tag in tags)


def test_one_is_sent_at_once_where_rabbitmq_waits_for_it(settlements, wire):
    settlements.add(1, acknowledge=True)
    settlements.flush_soon(1)
    assert wire.written == [frames(1)]
    assert not wire.due


def test_several_are_sent_together(settlements, wire):
    for tag in (1, 2, 3):
        settlements.add(tag, acknowledge=True)
        settlements.flush_soon(3)
    assert wire.written == [frames(1, 2, 3)]


def test_a_few_are_sent_in_a_moment_by_one_timer(settlements, wire):
    for tag in (1, 2):
        settlements.add(tag, acknowledge=True)
        settlements.flush_soon(3)
    (send,) = wire.due
    assert not wire.written
    send()
    assert wire.written == [frames(1, 2)]
    settlements.add(3, acknowledge=True)
    settlements.flush_soon(3)
    assert len(wire.due) == 2


def test_what_a_lost_connection_was_not_told_is_told_to_no_other(settlements, wire):
    settlements.add(1, acknowledge=True)
    settlements.flush_soon(3)
    settlements.detach()
    wire.due[0]()
    other = Wire()
    settlements.attach(other, SimpleNamespace(call_after=other.call_after))
    settlements.flush()
    assert not wire.written
    assert not other.written


def test_a_timer_that_meets_a_broken_connection_leaves_that_to_its_reader(settlements, wire):
    settlements.add(1, acknowledge=True)
    settlements.flush_soon(3)
    wire.written = ["broken"]
    wire.due[0]()
    settlements.add(2, acknowledge=True)
    with pytest.raises(OSError):  # noqa: PT011 -- any
        settlements.flush()


def test_what_rabbitmq_was_not_told_of_waits(settlements, wire):
    settlements.add(1, acknowledge=True)
    settlements.flush_soon(16)
    assert settlements.are_waiting and not wire.written
    wire.due.pop()()
    assert not settlements.are_waiting and wire.written == [frames(1)]
