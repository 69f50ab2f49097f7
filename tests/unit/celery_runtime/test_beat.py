from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.signals import beat_init
from redbeat import RedBeatScheduler
from redbeat.schedulers import acquire_distributed_beat_lock
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockNotOwnedError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celery_runtime import beat
from celery_runtime.health import Pulse, State


class Lock:
    """redis-py's lock, whose next answer a test chooses."""

    def __init__(self):
        self.error = None
        self.extended = 0

    def extend(self, seconds):
        self.extended += 1
        if self.error:
            raise self.error

    def owned(self):
        self.extend(0)
        return False


@pytest.fixture
def pulse(monkeypatch):
    monkeypatch.setattr(beat, "pulse", Pulse())
    return beat.pulse


@pytest.fixture
def scheduler(pulse, monkeypatch):
    """A Beat whose every try to get the lock succeeds; `locks` holds what it got."""
    locks = []

    def acquire(sender):
        locks.append(Lock())
        sender.scheduler.lock = locks[-1]

    monkeypatch.setattr(beat, "acquire_distributed_beat_lock", acquire)
    monkeypatch.setattr(RedBeatScheduler, "setup_schedule", lambda self: None)
    monkeypatch.setattr(RedBeatScheduler, "schedule", {})
    monkeypatch.setattr(beat.Scheduler, "_count_entries", lambda self: 3)
    monkeypatch.setattr(beat.Scheduler, "_read_again", lambda self, entry: entry)
    app = Celery(set_as_current=False, broker="memory://")
    app.conf.update(redbeat_redis_url="redis://localhost:1/0", beat_max_loop_interval=5)
    scheduler = beat.Scheduler(app, max_interval=5)
    scheduler.locks = locks
    return scheduler


def test_redbeat_does_not_take_the_lock_before_the_first_tick_and_end_when_it_cannot(scheduler):
    assert acquire_distributed_beat_lock not in [receiver() for _, receiver in beat_init.receivers]
    assert scheduler.lock is None and beat.pulse.state is State.STARTING


def test_a_tick_takes_the_lock_once_and_is_ready(scheduler, pulse):
    assert scheduler.tick() == 5
    assert scheduler.tick() == 5

    assert len(scheduler.locks) == 1
    assert pulse.state is State.READY


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), RedisTimeoutError("silent")])
def test_without_redis_a_tick_waits_keeps_its_lock_and_goes_on(scheduler, pulse, error):
    scheduler.tick()
    scheduler.lock.error = error

    assert scheduler.tick() == beat.RETRY
    assert pulse.state is State.RECONNECTING and pulse.alive and not pulse.ready

    scheduler.lock.error = None
    assert scheduler.tick() == 5
    assert pulse.ready and len(scheduler.locks) == 1


def test_a_lost_lock_is_taken_again_before_anything_is_sent(scheduler, pulse):
    scheduler.tick()
    scheduler.lock.error = LockNotOwnedError("expired")

    assert scheduler.tick() == beat.RETRY
    assert scheduler.lock is None and not pulse.ready

    scheduler.tick()
    assert len(scheduler.locks) == 2 and pulse.ready


def test_the_schedule_is_stored_after_the_lock_is_held_and_again_after_it_was_lost(scheduler, monkeypatch):
    held = []
    monkeypatch.setattr(RedBeatScheduler, "setup_schedule", lambda self: held.append(self.lock is not None))
    scheduler.setup_schedule()
    assert held == []

    scheduler.tick()
    scheduler.tick()
    scheduler.lock.error = LockNotOwnedError("expired")
    scheduler.tick()
    scheduler.tick()
    assert held == [True, True]


def test_nothing_is_sent_when_the_lock_ended_while_an_entry_before_it_waited(scheduler, pulse, monkeypatch):
    sent = []

    def send(self, entry, **_):
        pulse_then.append(pulse.state)
        sent.append(entry.name)
        self.lock.error = LockNotOwnedError("expired")  # as after a publish that took a minute

    pulse_then = []
    entries = {
        name: SimpleNamespace(name=name, task=name, last_run_at=None, is_due=lambda: (True, 5))
        for name in ("one", "two")
    }
    monkeypatch.setattr(RedBeatScheduler, "schedule", entries)
    monkeypatch.setattr(RedBeatScheduler, "_maybe_due_kwargs", {})
    monkeypatch.setattr(RedBeatScheduler, "apply_async", send)

    assert scheduler.tick() == beat.RETRY
    assert sent == ["one"]
    assert pulse_then == [State.RECONNECTING]  # alive for as long as the broker takes
    assert scheduler.lock is None


def test_a_beat_that_stops_without_redis_leaves_the_lock_to_its_end(scheduler):
    scheduler.tick()
    scheduler.lock.error = RedisTimeoutError("silent")

    scheduler.close()
    assert scheduler.lock is None
