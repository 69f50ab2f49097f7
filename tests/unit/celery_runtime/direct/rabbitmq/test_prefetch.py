"""How many messages are taken ahead."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from celery_runtime.direct.rabbitmq import prefetch
from celery_runtime.direct.rabbitmq.prefetch import FEW, MANY, MOST, Prefetch


class Channel:
    """Notes what it is asked for."""

    def __init__(self):
        self.asked = []
        self.callbacks, self.cancel_callbacks = {"tag": None}, {}

    def basic_qos(self, size, count, apply_global):
        self.asked.append(count)

    def basic_cancel(self, tag):
        self.asked.append("cancel")

    def basic_consume(self, queue, tag, **_):
        self.asked.append("consume")


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(prefetch.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def consumer():
    queue = SimpleNamespace(name="media", consumer_arguments=None)
    return SimpleNamespace(channel=Channel(), queues=[queue], _active_tags={"media": "tag"})


@pytest.fixture
def begun(consumer):
    begun = Prefetch()
    begun.begin(consumer, 2)
    return begun


def look(of, consumer, children, oldest, waits):
    """What it asked for; "back" when it gave back what waits."""
    before = len(consumer.channel.asked)
    of.look(consumer, children, oldest, waits=waits, give_back=lambda: consumer.channel.asked.append("back"))
    return consumer.channel.asked[before:]


def run(of, runtime, times=100):
    for _ in range(times):
        of.count(runtime)


def test_nothing_is_taken_ahead_of_long_tasks(begun, consumer, clock):
    run(begun, 0.1)
    assert look(begun, consumer, 2, 0.1, waits=False) == []
    assert consumer.channel.asked == [2]


def test_short_tasks_are_and_given_back_when_one_takes_long(begun, consumer, clock):
    run(begun, 0.002)
    assert look(begun, consumer, 2, 0.001, waits=True) == ["cancel", 2 + 2 * FEW, "consume"]
    assert look(begun, consumer, 2, 1, waits=False) == []  # nobody waits behind it
    assert look(begun, consumer, 2, 1, waits=True) == ["cancel", "back", 2, "consume"]


def test_more_tiny_ones_are_taken_ahead_and_none_given_back_when_they_grow(begun, consumer, clock):
    run(begun, 0.0005)
    assert look(begun, consumer, 2, 0, waits=True) == ["cancel", 2 + 2 * MANY, "consume"]
    run(begun, 0.0015)
    assert look(begun, consumer, 2, 0, waits=True) == []
    run(begun, 0.004)
    assert look(begun, consumer, 2, 0, waits=True) == ["cancel", 2 + 2 * FEW, "consume"]


def test_however_many_children_what_is_held_is_bounded(begun, consumer, clock):
    run(begun, 0.0005, times=1000)
    assert look(begun, consumer, 64, 0, waits=True) == ["cancel", 64 + MOST, "consume"]


def test_few_short_tasks_change_nothing(begun, consumer, clock):
    run(begun, 0.0001, times=10)
    assert look(begun, consumer, 2, 0, waits=False) == []


def test_after_a_mistake_it_waits_for_longer_each_time(begun, consumer, clock):
    pauses = []
    for _ in range(8):
        waited = 0.0
        while not begun.ahead:
            run(begun, 0.002)
            look(begun, consumer, 2, 0, waits=False)
            clock.now += 0.5
            waited += 0.5
        pauses.append(waited)
        assert "back" in look(begun, consumer, 2, 1, waits=True)
    assert pauses == sorted(pauses)
    assert 30 <= pauses[-1] <= 32


def test_it_follows_the_number_of_children(begun, consumer, clock):
    assert look(begun, consumer, 5, 0, waits=False) == ["cancel", 5, "consume"]
    assert look(begun, consumer, 1, 0, waits=False) == ["cancel", "back", 1, "consume"]
