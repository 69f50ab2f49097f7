"""Rows about Beat, and about clocks."""

from __future__ import annotations

import time
from itertools import pairwise

from tests.chaos.matrix import row

LOCK, LOOP = 30, 5  # seconds: the longest that the lock of a dead Beat lasts, and that a standby sleeps


def gaps(trial, since=0.0):
    """Seconds between the starts of successive ticks."""
    starts = sorted(event.at for event in trial.account.read().events if event.what == "start" and event.at > since)
    return [later - earlier for earlier, later in pairwise(starts)]


def expect_single(trial, every):
    """A tick that follows within half its interval was sent by a second Beat."""
    close = [gap for gap in gaps(trial) if gap < every / 2]
    trial.expect(
        len(close) <= 1, f"{len(close)} ticks followed another within {every / 2} s"
    )  # a late one may catch up


@row(27, "Beat killed, another one stands by")
def beat_killed(trial):
    every = trial.pick(short=2, full=5)
    trial.worker()
    leader = heir = trial.beat("a", every)
    trial.until_started(2)
    if trial.celery == "runtime":
        heir = trial.beat("b", every).wait_until_said("beat: Starting")
    leader.kill()
    killed = trial.now()
    if trial.celery == "stock":  # with a second stock Beat every tick would be sent twice: Docker starts the one again
        leader.start()
    limit = LOCK + LOOP + every
    trial.recovered(killed + 1, limit, wait=True)  # what was sent before the kill has ended within a second
    after = len(trial.account.starts)
    trial.until_started(after + 3)
    heir.stop()
    trial.settle(30)
    trial.expect(max(gaps(trial)) <= limit, f"{max(gaps(trial)):.1f} s without a tick, at most {limit} s")
    expect_single(trial, every)
    trial.judge(lost=0, doubled=0, rerun=0)


@row(28, "two Beats for ten minutes")
def two_beats(trial):
    minutes, every = trial.pick(short=0.5, full=10), 2
    trial.worker()
    leader = trial.beat("a", every)
    trial.until_started(1)
    standby = trial.beat("b", every)
    time.sleep(minutes * 60)
    standby.stop()
    leader.stop()
    trial.settle(30)
    trial.expect(len(trial.account.starts) >= minutes * 60 / every * 0.8, "ticks are missing")
    expect_single(trial, every)
    trial.judge(lost=0, doubled=0, rerun=0)


@row(29, "broker away at the time of a tick", alone=True)
def broker_away_at_a_tick(trial):
    every = 20
    trial.worker()
    beat = trial.beat("a", every)
    trial.until_started(1, every + 30)
    time.sleep(every - 5)
    trial.broker.stop()
    time.sleep(15)
    trial.broker.start()
    cleared = trial.now()
    trial.recovered(cleared, LOCK + LOOP + 5, wait=True)
    time.sleep(every + 2)
    beat.stop()
    trial.settle(30)
    starts = [event.at for event in trial.account.events if event.what == "start"]
    most = (starts[-1] - starts[0]) / every + 1.5  # one for each interval that began, the late one included
    trial.expect(len(starts) <= most, f"{len(starts)} ticks in {starts[-1] - starts[0]:.0f} s")
    expect_single(trial, every)
    trial.judge(lost=0, doubled=0, rerun=0)


@row(30, "a worker's clock an hour ahead")
def clock_ahead(trial):
    """Python's `time.time` is moved, not the kernel's clock: what C code reads (datetime.now) stays right."""
    trial.serve(time_limit=120)
    trial.worker("right")
    trial.publish("sleep", trial.concurrency, seconds=40, prefix="running")
    trial.until_started(trial.concurrency)
    trial.worker("ahead", env={"PYTHONPATH": "/chaos/workload/clock:/srv:/chaos", "CLOCK_AHEAD": "3600"})
    trial.publish("sleep", 100, seconds=0.05, prefix="short", rate=20)
    trial.settle(120)
    trial.judge(lost=0, doubled=0, rerun=0)
