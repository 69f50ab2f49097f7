"""Rows in which the broker goes away, or the connection to it."""

from __future__ import annotations

from tests.chaos.matrix import row

RATE = 40  # tasks published per second while the fault lasts: a third of what the worker can do


@row(8, "broker restarted cleanly under load")
def broker_restart(trial):
    worker = trial.worker()
    producer = trial.publishing("sleep", trial.pick(short=400, full=2000), rate=RATE, seconds=0.02)
    trial.until_ended(50)
    trial.broker.stop()
    trial.broker.start()
    cleared = trial.now()
    trial.published(producer)
    trial.settle(90)
    trial.recovered(cleared, 15)
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=0, doubled=0)
