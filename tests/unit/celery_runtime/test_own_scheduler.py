from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest
from celery import Celery
from celery.beat import Scheduler as CeleryScheduler
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockNotOwnedError

from celery_runtime import beat, own_scheduler
from celery_runtime.health import Pulse, State

DUE = {"task": "some.task", "schedule": timedelta(hours=1)}


class Lock:
    """redis-py's lock, whose next answers a test chooses."""

    def __init__(self):
        self.errors = []
        self.released = False

    def extend(self, seconds):
        if self.errors and (error := self.errors.pop(0)):
            raise error

    def release(self):
        self.released = True


class Stored(CeleryScheduler):
    """An app's own scheduler, whose schedule is in a store beside it, like Django's."""

    store: ClassVar = {}
    happened: ClassVar = []
    error = None

    def setup_schedule(self):
        if self.error:
            raise self.error
        self.happened.append("read")
        self.update_from_dict(self.store)

    def sync(self):
        self.happened.append("written")

    def send_task(self, name, *args, **kwargs):
        self.happened.append(f"sent {name}")


@pytest.fixture
def pulse(monkeypatch):
    pulse = Pulse()
    for module in (beat, own_scheduler):
        monkeypatch.setattr(module, "pulse", pulse)
    return pulse


@pytest.fixture
def scheduler(pulse, monkeypatch):
    """A Beat whose every try to get the lock succeeds; `locks` holds what it got."""
    locks = []

    def acquire(sender):
        Stored.happened.append("locked")
        locks.append(Lock())
        sender.scheduler.lock = locks[-1]

    monkeypatch.setattr(beat, "acquire_distributed_beat_lock", acquire)
    monkeypatch.setattr(Stored, "store", {})
    monkeypatch.setattr(Stored, "happened", [])
    monkeypatch.setattr(Stored, "error", None)
    monkeypatch.setattr(Stored, "producer", None)
    app = Celery(set_as_current=False, broker="memory://")
    app.conf.update(redbeat_redis_url="redis://localhost:1/0", redbeat_lock_timeout=30, beat_max_loop_interval=5)
    scheduler = own_scheduler.OwnScheduler(app, Stored, max_interval=5)
    scheduler.locks = locks
    return scheduler


def due(*names):
    """Entries that never ran for an hour."""
    long_ago = Celery(set_as_current=False).now() - timedelta(hours=2)
    return {name: {**DUE, "task": name, "last_run_at": long_ago} for name in names}


def test_the_schedule_is_read_after_the_lock_is_held_and_anew_after_it_was_lost(scheduler, pulse):
    assert Stored.happened == []
    assert scheduler.tick() == 5 and pulse.state is State.READY
    scheduler.tick()
    assert Stored.happened == ["locked", "read"]

    scheduler.lock.errors = [LockNotOwnedError("expired")]
    assert scheduler.tick() == beat.RETRY and not pulse.ready and pulse.alive
    scheduler.tick()
    assert Stored.happened == ["locked", "read", "locked", "read"] and pulse.ready


def test_a_run_is_written_down_as_soon_as_it_was_sent(scheduler):
    Stored.store = due("one", "two")
    while scheduler.tick() == 0:
        pass

    sent = Stored.happened[2:]
    assert sorted(sent[::2]) == ["sent one", "sent two"] and sent[1::2] == ["written", "written"]
    assert not scheduler.should_sync()


def test_nothing_is_sent_or_written_down_when_the_lock_ended_before_an_entry(scheduler):
    Stored.store = due("one")
    scheduler._take_over()
    scheduler.lock.errors = [None, LockNotOwnedError("expired")]  # of the tick, of the entry

    assert scheduler.tick() == beat.RETRY
    scheduler._current.sync()
    assert Stored.happened == ["locked", "read"]


def test_without_redis_a_tick_keeps_its_lock_and_goes_on(scheduler, pulse):
    scheduler.tick()
    scheduler.lock.errors = [RedisConnectionError("gone")]

    assert scheduler.tick() == beat.RETRY and pulse.state is State.RECONNECTING
    assert scheduler.tick() == 5 and pulse.ready
    assert Stored.happened == ["locked", "read"]


def test_a_store_that_is_away_ends_no_beat(scheduler, pulse):
    Stored.error = RuntimeError("the database is away")

    assert scheduler.tick() == beat.RETRY
    assert pulse.state is State.RECONNECTING and pulse.alive

    Stored.error = None
    assert scheduler.tick() == 5 and pulse.ready
    assert len(scheduler.locks) == 1


def test_a_beat_that_stops_writes_down_what_ran_before_another_may_have_the_lock(scheduler):
    scheduler.tick()
    lock = scheduler.lock
    Stored.happened.clear()
    lock.release = lambda: Stored.happened.append("released")

    scheduler.close()
    scheduler.close()  # on SIGTERM Celery closes once more
    assert Stored.happened == ["written", "released"]


def test_redbeats_own_scheduler_is_the_one_that_may_be_changed_while_it_runs():
    app = Celery(set_as_current=False, broker="memory://")
    app.conf.update(redbeat_redis_url="redis://localhost:1/0", beat_max_loop_interval=5)

    for name in ("celery_runtime.beat:Scheduler", "redbeat.RedBeatScheduler"):
        assert type(own_scheduler.guarded(name)(app, max_interval=5)) is beat.Scheduler


def test_a_scheduler_is_imported_no_earlier_than_it_is_made():
    assert callable(own_scheduler.guarded("no_such_module:Scheduler"))
