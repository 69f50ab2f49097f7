"""Rows in which the broker goes away, or the connection to it."""

from __future__ import annotations

import time

from tests.chaos.matrix import row

RATE = 40  # tasks published per second while the fault lasts: a third of what the worker can do


def unacknowledged(trial):
    """How many tasks a lost connection may double.

    The one that the producer published twice, since the first answer did not come; and on RabbitMQ what had just ended,
    since it takes no acknowledgement over the next connection.
    """
    return 1 if trial.on_redis else 1 + trial.concurrency


def under_load(trial, fault, *, back, lost=0, doubled=0, rate=RATE, count=None):
    """Publish steadily while `fault()` comes and goes; tasks end again at most `back` seconds later."""
    trial.worker()
    producer = trial.publishing("sleep", count or trial.pick(short=250, full=2000), rate=rate, seconds=0.02)
    trial.until_ended(10)
    fault()
    cleared = trial.now()
    trial.published(producer, 60 + (count or 2000) / rate * 10)
    trial.settle(120)
    trial.recovered(cleared, back)
    if refused := trial.account.publish_errors:
        trial.remark(f"{refused} publishes were refused")
    trial.judge(lost=lost, doubled=doubled)


@row(8, "broker restarted cleanly under load", alone=True)
def broker_restart(trial):
    under_load(trial, trial.broker.restart, back=15, doubled=unacknowledged(trial))


@row(9, "broker killed, back after 3 s", alone=True)
def broker_kill(trial):
    def fault():
        trial.broker.kill()
        time.sleep(3)
        trial.broker.start()

    unsynced = RATE if trial.on_redis else 0  # Redis syncs every second
    under_load(trial, fault, back=15, lost=unsynced, doubled=trial.concurrency)


@row(10, "broker away for 5 minutes", alone=True)
def broker_away(trial):
    away = trial.pick(short=30, full=300)

    def fault():
        trial.broker.stop()
        time.sleep(away)
        trial.expect_alive()
        trial.broker.start()

    # Celery waits up to 32 s between two tries.
    under_load(trial, fault, back=35, rate=4, count=(away + 20) * 4, doubled=unacknowledged(trial))


@row(11, "broker paused for 20 s", alone=True)
def broker_paused(trial):
    def fault():
        trial.broker.pause()
        time.sleep(20)
        trial.broker.resume()

    under_load(trial, fault, back=30, doubled=unacknowledged(trial))


@row(12, "all clients' connections reset", alone=True)
def connections_reset(trial):
    trial.serve(concurrency=4)
    trial.worker()
    trial.publish("sleep", trial.pick(short=8, full=40), seconds=trial.pick(short=3, full=4))
    for reset in range(trial.pick(short=1, full=4)):
        trial.until_started(2 + 8 * reset)
        trial.broker.cut_clients()
        trial.recovered(trial.now(), 10, wait=True)
    trial.settle(120)
    trial.judge(lost=0, doubled=unacknowledged(trial))


@row(13, "half-open: the worker's connections carry nothing any more")
def half_open(trial):
    proxy, variables = trial.proxy()
    trial.worker(env=variables)
    trial.publish("sleep", 1, seconds=4, prefix="during")
    # Seldom enough that the worker waits when it is cut off, often enough that a message comes before it asks again.
    steady = trial.publishing("sleep", trial.pick(short=40, full=200), rate=5, prefix="steady")
    trial.until_ended(10)
    proxy.signal("SIGUSR1")
    silent = trial.now()
    trial.publish("sleep", 20, seconds=0.02, prefix="after")
    trial.published(steady)
    trial.settle(120)
    trial.recovered(silent, 30, trial.ids("after"))
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
    again = 0 if trial.on_redis else 20  # what ran starts again on RabbitMQ, and the first to end takes this long
    trial.recovered(cleared, 30 + again)
    trial.judge(lost=0, doubled=trial.concurrency)


@row(17, "broker's memory full", alone=True)
def memory_full(trial):
    def fault():
        trial.broker.fill()
        time.sleep(trial.pick(short=5, full=15))
        trial.broker.unfill()

    under_load(trial, fault, back=30)


@row(18, "the set of an exchange's bindings deleted", brokers=("redis",))
def bindings_deleted(trial):
    trial.worker()
    producer = trial.publishing("sleep", trial.pick(short=200, full=800), rate=RATE)
    trial.until_ended(50)
    trial.broker.cli("del", f"_kombu.binding.{trial.queue}")
    trial.published(producer)
    trial.settle(60)
    trial.judge(lost=0, doubled=0)
