from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import select

from app.models import FaultEvent
from app.settings import settings
from app.tasks import faults
from celery_runtime.queues import load_queues


@pytest.fixture
def events(database):
    def read(batch):
        with database.transaction() as session:
            rows = session.scalars(select(FaultEvent).where(FaultEvent.batch == UUID(batch)).order_by(FaultEvent.id))
            return [(event.n, event.kind) for event in rows]

    return read


@pytest.mark.parametrize("name", ["count", "sleep"])
def test_start_and_end_are_recorded(events, name):
    batch = str(uuid4())
    getattr(faults, name).apply(args=(batch, 7, 0.01), throw=True)
    assert events(batch) == [(7, "start"), (7, "end")]


def test_a_task_that_fails_has_ended(events):
    batch = str(uuid4())
    with pytest.raises(faults.FaultError, match="task 3 of batch"):
        faults.fail.apply(args=(batch, 3, 0), throw=True)
    assert events(batch) == [(3, "start"), (3, "end")]


@pytest.mark.parametrize(
    ("interruption", "ended"),
    [(SoftTimeLimitExceeded, [(0, "end")]), (SystemExit, [])],
    ids=["a soft limit ends it", "a shutdown cuts it off"],
)
def test_a_task_that_is_interrupted(events, monkeypatch, interruption, ended):
    def interrupted(seconds):
        raise interruption

    monkeypatch.setattr(faults.time, "sleep", interrupted)
    batch = str(uuid4())
    with pytest.raises(interruption):
        faults.sleep.apply(args=(batch, 0, 9), throw=True)
    assert events(batch) == [(0, "start"), *ended]


def test_sleep_takes_its_time(database, monkeypatch):
    slept = []
    monkeypatch.setattr(faults.time, "sleep", slept.append)
    faults.sleep.apply(args=(str(uuid4()), 0, 2.5), throw=True)
    assert slept == [2.5]


def test_a_crash_leaves_a_start_without_an_end(events):
    batch = str(uuid4())
    child = os.fork()
    if child == 0:
        faults.crash.apply(args=(batch, 0, 0))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert events(batch) == [(0, "start")]


def test_a_crash_ends_pid_1_too(events, monkeypatch):
    """The kernel ignores the signal that PID 1 of a container sends itself."""
    monkeypatch.setattr(faults.os, "kill", lambda *_: None)
    batch = str(uuid4())
    child = os.fork()
    if child == 0:
        faults.crash.apply(args=(batch, 0, 0))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 137
    assert events(batch) == [(0, "start")]


def test_more_memory_is_taken_than_any_worker_may_have():
    limits = [queue.resources.memory for queue in load_queues(settings().queues_file).values()]
    assert all(limit.endswith("Mi") for limit in limits)
    assert max(int(limit.removesuffix("Mi")) for limit in limits) * 2**20 < faults.HOG


def test_memory_is_really_used_and_held(database, monkeypatch):
    monkeypatch.setattr(faults, "HOG", 4 * faults.HOG_STEP)
    held = []
    monkeypatch.setattr(faults.time, "sleep", lambda seconds: held.append(resident()))

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier tests freed would be used again
    before = resident()
    faults.hog_memory.apply(args=(str(uuid4()), 0, 1), throw=True)
    assert held[0] - before == pytest.approx(4 * faults.HOG_STEP, rel=0.1)
    assert faults.HOG_STEP == 64 * 2**20


def test_a_row_says_who_ran_the_task(database):
    batch = str(uuid4())
    faults.count.apply(args=(batch, 0, 0), throw=True)
    with database.transaction() as session:
        event = session.scalars(select(FaultEvent)).first()
        assert event.pid == os.getpid() and event.host and event.at.tzinfo
