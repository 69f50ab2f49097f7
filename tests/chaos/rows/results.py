"""Rows about results, chords and remote control."""

from __future__ import annotations

import time

from tests.chaos.matrix import row
from tests.chaos.rows.brokers import under_load


@row(31, "the result store away for 60 s", brokers=("rabbitmq",), alone=True)
def result_store_away(trial):
    """On Redis the result store is the broker: rows 8 to 11."""
    store = trial.servers["redis"]
    trial.serve(time_limit=120)  # a task that waits for its result to be stored still runs

    def fault():
        store.stop()
        time.sleep(trial.pick(short=10, full=60))
        store.start()

    under_load(trial, fault, back=30)
    states = {trial.state(task) for task in trial.account.ends}
    trial.expect(states == {"SUCCESS"}, f"results: {', '.join(sorted(states))}")


@row(32, "a chord, its worker killed and its broker restarted", alone=True)
def chord(trial):
    trial.variables["VISIBILITY_TIMEOUT"] = "10"
    headers = trial.pick(short=30, full=100)
    worker = trial.worker()
    trial.publish("chord", 1, headers=headers, seconds=0.1, prefix="chord")
    trial.until_ended(headers // 3)
    worker.kill()
    worker.start()
    trial.until_ended(headers * 2 // 3, 90)
    trial.broker.stop()
    trial.broker.start()
    trial.settle(120)
    bodies = trial.account.ends[trial.id("chord")]
    trial.expect(bodies == 1, f"the body ended {bodies} times")
    trial.judge(lost=0, doubled=trial.concurrency)


@row(34, "remote control's callers die before the answer", brokers=("redis",))
def callers_die(trial):
    worker = trial.worker()
    code, said = worker.run("python", "-m", "workload.ping", str(trial.pick(short=50, full=500)))
    trial.expect(code == 0, said[-300:])
    trial.publish("sleep", 20)
    trial.settle(30)
    leaked = trial.until_no_replies(60)
    trial.remark(f"{leaked} reply lists without an expiry")
    trial.expect(leaked == 0, f"{leaked} reply lists would stay for ever")
    trial.judge(lost=0, doubled=0)
