"""Rows about messages that a worker cannot run."""

from __future__ import annotations

from tests.chaos.matrix import row


@row(22, "bad JSON, a pickle, an unknown task")
def unreadable(trial):
    trial.worker()
    trial.publish("garbage", 1, prefix="garbage")
    trial.publish("nope", 1, prefix="unknown")
    expected = 3
    if trial.on_redis:
        trial.broker.cli("lpush", trial.queue, "not even an envelope")
        expected += 1
    trial.publish("sleep", 20, prefix="neighbour")
    trial.doom("garbage", "unknown")
    trial.until_ended(20)
    trial.settle(60)
    parked = trial.broker.dead_letters(trial.queue)
    trial.expect(parked == expected, f"{parked} dead letters, not {expected}")
    trial.judge(lost=0, doubled=0, rerun=0, restarts=1)


@row(23, "a new task is published before its worker is deployed")
def deploy_in_the_wrong_order(trial):
    old = trial.worker("old", env={"RELEASE": "old"})
    known = trial.publishing("sleep", 100, rate=20, prefix="known")
    trial.publish("newer", 20, prefix="newer")
    trial.published(known)
    trial.until_ended(100)
    old.stop()
    new = trial.worker("new")
    if trial.celery == "runtime":
        code, said = new.run("celery-runtime", "dead-letters", "replay", "--queue", trial.queue)
        trial.expect(code == 0, f"dead-letters replay: {said[-300:]}")
    trial.settle(60)
    trial.judge(lost=0, doubled=0, rerun=0)
