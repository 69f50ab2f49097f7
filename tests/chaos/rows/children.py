"""Rows about the direct pool, whose children fetch for themselves."""

from __future__ import annotations

import time

from tests.chaos.matrix import row

KILL_ONE = """
import os, random, signal
children = open("/proc/1/task/1/children").read().split()
os.kill(int(random.choice(children)), signal.SIGKILL)
"""
STOP_ONE = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), {signal})"
SIGSTOP, SIGCONT = 19, 18
ROUND = 120  # seconds
GROWTH = 1.1  # from the first round to the last


@row(36, "pool children killed under load")
def children_killed(trial):
    kills, between = trial.pick(short=(5, 60), full=(60, 400))
    trial.serve(concurrency=4)
    worker = trial.worker()
    producer = trial.publishing("sleep", (kills + 1) * between, seconds=0.005)
    for kill in range(1, kills + 1):
        trial.until_ended(int((kill - 0.5) * between), 120)
        code, said = worker.run("python", "-c", KILL_ONE)
        trial.expect(code == 0, said[-300:])
    trial.published(producer, 300)
    trial.settle(300)
    trial.judge(lost=0, doubled=kills, rerun=kills)


@row(37, "a child stands still, then the worker's parent", brokers=("redis",))
def standstill(trial):
    timeout = trial.pick(short=6, full=20)
    trial.variables["VISIBILITY_TIMEOUT"] = str(timeout)
    stopped, other = trial.worker("a"), trial.worker("b")
    trial.publish("sleep", 2 * trial.concurrency, seconds=2 * timeout, prefix="child")
    trial.until_started(2 * trial.concurrency)
    _stand_still(trial, stopped, STOP_ONE, 2 * timeout)  # its parent renews the lease of what it holds
    trial.settle(6 * timeout)
    trial.judge(lost=0, doubled=0, rerun=0)
    trial.publish("sleep", 2 * trial.concurrency, seconds=2 * timeout, prefix="parent")
    trial.until_started(4 * trial.concurrency)
    stopped.signal("SIGSTOP")
    trial.until(lambda account: account.rerun >= trial.concurrency, "the others to take over", 6 * timeout)
    stopped.signal("SIGCONT")
    trial.settle(6 * timeout)
    trial.expect(other.is_running() and stopped.is_running(), "a worker ended")
    trial.judge(lost=0, doubled=trial.concurrency, rerun=2 * trial.concurrency)


def _stand_still(trial, worker, who, seconds):
    worker.run("python", "-c", who.format(signal=SIGSTOP))
    until = trial.now() + seconds
    trial.until(lambda _: trial.now() > until, "the time to pass", 2 * seconds)
    worker.run("python", "-c", who.format(signal=SIGCONT))


@row(38, "scripts flushed, Redis restarted from its AOF, under load", brokers=("redis",), alone=True)
def scripts_flushed(trial):
    flushes, between = trial.pick(short=(5, 100), full=(50, 200))
    trial.worker()
    producer = trial.publishing("sleep", (flushes + 2) * between)
    for flush in range(1, flushes + 1):
        trial.until_ended(int((flush - 0.5) * between), 120)
        trial.broker.cli("script", "flush")
    trial.broker.restart()
    trial.recovered(trial.now(), 35, wait=True)
    trial.published(producer, 300)
    trial.settle(90)
    trial.judge(lost=0, doubled=0, rerun=0)


@row(39, "thirty minutes at full load, with kills", alone=True)
def full_load_with_kills(trial):
    """One worker loses a child every few seconds and is watched, another is killed or stopped once a round."""
    rounds, length, between = trial.pick(short=(1, 15, 300), full=(15, ROUND, 1500))
    watched, other = trial.worker("watched"), trial.worker("other")
    kills, footprints = 0, []
    for number in range(rounds):
        over = time.monotonic() + length
        while time.monotonic() < over:
            _keep_busy(trial, 4 * between)
            written = len(trial.account.read().events)
            trial.until(lambda account, seen=written: len(account.events) >= seen + between, "tasks to run", 600)
            kills += watched.run("python", "-c", KILL_ONE)[0] == 0
        _end(other, hard=number % 2 == 0)
        footprints.append((*watched.footprint(), trial.broker.keys()))
        other.start()
    trial.settle(600)
    first, last = footprints[0], footprints[-1]
    memory = ", ".join(f"{each[0]:.1f}" for each in footprints)
    trial.remark(f"{kills} children and {rounds} workers; open files, keys: {first[1:]} to {last[1:]}; MiB: {memory}")
    for what, before, after in zip(("memory", "open files", "keys"), first, last, strict=True):
        trial.expect(after <= before * GROWTH + 5, f"{what} grew from {before} to {after}")
    trial.judge(lost=0, doubled=kills + rounds * trial.concurrency)


def _keep_busy(trial, tasks):
    """Let nobody find the queue empty."""
    if trial.broker.held(trial.queue) < tasks:
        number = len(trial.processes)
        trial.published(trial.publishing("sleep", 2 * tasks, prefix=f"load{number}", seconds=0.005), 600)


def _end(worker, *, hard):
    if hard:
        worker.kill()
    else:
        worker.stop()
