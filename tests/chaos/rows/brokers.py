"""Rows in which the broker goes away, or the connection to it."""

from __future__ import annotations

import time

from tests.chaos.matrix import row

RATE = 40  # tasks published per second while the fault lasts: a third of what the worker can do


@row(8, "broker restarted cleanly under load", alone=True)
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


@row(9, "broker killed, back after 3 s", alone=True)
def broker_kill(trial):
    worker = trial.worker()
    producer = trial.publishing("sleep", trial.pick(short=400, full=2000), rate=RATE, seconds=0.02)
    trial.until_ended(50)
    trial.broker.kill()
    time.sleep(3)
    trial.broker.start()
    cleared = trial.now()
    trial.published(producer)
    trial.settle(120)
    trial.recovered(cleared, 15)
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=RATE if trial.on_redis else 0, doubled=trial.concurrency)  # Redis syncs every second


@row(10, "broker away for 5 minutes", alone=True)
def broker_away(trial):
    away = trial.pick(short=30, full=300)
    worker = trial.worker()
    producer = trial.publishing("sleep", (away + 20) * 4, rate=4, seconds=0.02)
    trial.until_ended(10)
    trial.broker.stop()
    time.sleep(away)
    if trial.celery == "runtime":
        code, answer = worker.run("celery-runtime", "health", "live")
        trial.expect(code == 0, f"the worker is not alive: {answer}")
    trial.broker.start()
    cleared = trial.now()
    trial.published(producer, away * 10)
    trial.settle(90)
    trial.recovered(cleared, 35)  # Celery waits up to 32 s between two tries
    trial.remark(f"{trial.account.publish_errors} publishes were refused meanwhile")
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=0, doubled=0)


@row(11, "broker paused for 20 s", alone=True)
def broker_paused(trial):
    worker = trial.worker()
    producer = trial.publishing("sleep", trial.pick(short=400, full=2000), rate=RATE, seconds=0.02)
    trial.until_ended(50)
    trial.broker.pause()
    time.sleep(20)
    trial.broker.resume()
    cleared = trial.now()
    trial.published(producer)
    trial.settle(120)
    trial.recovered(cleared, 30)
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=0, doubled=0)


@row(12, "all clients' connections reset", alone=True)
def connections_reset(trial):
    trial.serve(concurrency=4)
    worker = trial.worker()
    trial.publish("sleep", trial.pick(short=12, full=40), seconds=4)
    for reset in range(trial.pick(short=1, full=4)):
        trial.until_started(2 + 8 * reset)
        trial.broker.cut_clients()
        trial.recovered(trial.now(), 10, wait=True)
    trial.settle(120)
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=0, doubled=0)


@row(13, "half-open: the worker's connections carry nothing any more")
def half_open(trial):
    proxy, variables = trial.proxy()
    worker = trial.worker(env=variables)
    trial.publish("sleep", 20, seconds=0.02, prefix="before")
    trial.publish("sleep", trial.concurrency, seconds=4, prefix="during")
    trial.until_started(20 + trial.concurrency)
    proxy.signal("SIGUSR1")
    silent = trial.now()
    trial.publish("sleep", 20, seconds=0.02, prefix="after")
    trial.settle(120)
    trial.recovered(silent, 30, trial.ids("after"))
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=0, doubled=trial.concurrency)


@row(14, "worker cut off from the broker for 60 s")
def partition(trial):
    trial.serve(concurrency=4, time_limit=120)
    worker = trial.worker()
    trial.publish("sleep", 2, seconds=90, prefix="throughout")
    trial.publish("sleep", 2, seconds=20, prefix="ends")
    trial.publish("sleep", 20, seconds=0.5, prefix="waiting")
    trial.until_started(4)
    worker.cut_off()
    time.sleep(60)
    worker.reconnect()
    cleared = trial.now()
    trial.settle(240)
    trial.recovered(cleared, 30)
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=0, doubled=trial.concurrency)


@row(17, "broker's memory full", alone=True)
def memory_full(trial):
    worker = trial.worker()
    producer = trial.publishing("sleep", trial.pick(short=400, full=1200), rate=RATE, seconds=0.02)
    trial.until_ended(50)
    trial.broker.fill()
    time.sleep(trial.pick(short=5, full=15))
    trial.broker.unfill()
    cleared = trial.now()
    trial.published(producer, 300)
    trial.settle(120)
    trial.recovered(cleared, 30)
    trial.remark(f"{trial.account.publish_errors} publishes were refused meanwhile")
    trial.expect(worker.restarts == 0, f"the worker was restarted {worker.restarts} times")
    trial.judge(lost=0, doubled=0)


@row(18, "the set of an exchange's bindings deleted", brokers=("redis",))
def bindings_deleted(trial):
    trial.worker()
    producer = trial.publishing("sleep", trial.pick(short=200, full=800), rate=RATE)
    trial.until_ended(50)
    trial.broker.cli("del", f"_kombu.binding.{trial.queue}")
    trial.published(producer)
    trial.settle(60)
    trial.judge(lost=0, doubled=0)
