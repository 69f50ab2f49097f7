"""Rows in which a worker is stopped or killed."""

from __future__ import annotations

from tests.chaos.matrix import row

STOP_MARGIN = 3.0  # seconds beyond the running task that a stop under load may take (the acceptance)
# Seconds from a SIGKILL until what ran has ended: the visibility timeout of 60 s and a sweep; the closed connection.
AFTER_KILL = {"redis": 75, "rabbitmq": 10}


@row(1, "worker SIGTERM under load, short tasks")
def stop_under_load(trial):
    task, stops, between = 0.1, trial.pick(short=3, full=30), 20
    worker = trial.worker()
    producer = trial.publishing("sleep", (stops + 1) * between + 40, seconds=task)
    slowest = 0.0
    for stop in range(stops):
        trial.until_ended((stop + 1) * between)
        took, code = worker.stop()
        slowest = max(slowest, took)
        trial.expect(took <= task + STOP_MARGIN, f"stop {stop + 1} took {took:.1f} s")
        trial.expect(code == 0, f"stop {stop + 1} ended with exit code {code}")
        worker.start()
    trial.published(producer)
    trial.settle(60)
    trial.remark(f"slowest stop {slowest:.1f} s")
    trial.judge(lost=0, doubled=0, rerun=0)


@row(2, "worker SIGTERM, task shorter than the grace")
def task_within_grace(trial):
    worker = trial.worker()
    trial.publish("sleep", trial.concurrency, seconds=trial.pick(short=4, full=10))
    trial.until_started(trial.concurrency)
    worker.stop()
    trial.expect(trial.account.read().ended == trial.concurrency, "a running task did not end before the worker")
    worker.start()
    trial.settle(30)
    trial.judge(lost=0, doubled=0, rerun=0)


@row(5, "worker SIGKILL under load")
def kill_under_load(trial):
    kills, between = trial.pick(short=(4, 150), full=(40, 600))
    limit = AFTER_KILL[trial.broker.name]
    if not trial.full:
        trial.variables["VISIBILITY_TIMEOUT"] = "10"
    worker = trial.worker()
    producer = trial.publishing("sleep", kills * between)
    cut = {}
    for kill in range(1, kills + 1):
        trial.until_ended(int((kill - 0.5) * between), 120)
        worker.kill()
        cut |= dict.fromkeys(trial.account.read().running, trial.now())
        worker.start()
    trial.published(producer)
    trial.settle(limit + 60)
    trial.judge(lost=0, doubled=kills * trial.concurrency, rerun=kills * trial.concurrency)
    for task, killed in cut.items():
        trial.recovered(killed, limit, {task})
