"""Rows in which a worker is stopped or killed."""

from __future__ import annotations

from tests.chaos.matrix import row

STOP_MARGIN = 3.0  # seconds beyond the running task that a stop under load may take (the acceptance)
SWEEP = 5  # seconds between two looks for messages of workers that are gone (unacked_restore_interval)
# Seconds from a SIGKILL until what ran has ended: the visibility timeout of 60 s and a sweep; the closed connection.
AFTER_KILL = {"redis": 75, "rabbitmq": 10}


@row(1, "worker SIGTERM under load, short tasks", measured=True)
def stop_under_load(trial):
    # The short form runs on busy machines: it tells a drain from the 30 s that stock Celery waits in half of its stops.
    task, between, (stops, margin) = 0.1, 20, trial.pick(short=(2, 15.0), full=(30, STOP_MARGIN))
    worker = trial.worker()
    producer = trial.publishing("sleep", (stops + 1) * between + 40, seconds=task)
    slowest = 0.0
    for stop in range(stops):
        trial.until_ended((stop + 1) * between)
        took, code = worker.stop()
        slowest = max(slowest, took)
        trial.expect(took <= task + margin, f"stop {stop + 1} took {took:.1f} s")
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


@row(5, "worker SIGKILL under load", measured=True)
def kill_under_load(trial):
    kills, between = trial.pick(short=(3, 100), full=(40, 600))
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


@row(3, "worker SIGTERM, task longer than the drain")
def task_beyond_drain(trial):
    seconds, drain = trial.pick(short=(26, 2), full=(60, 10))
    trial.serve(concurrency=1, time_limit=seconds + 30, drain=drain, requeue_on_drain=True)
    workers = {worker.name: worker for worker in (trial.worker("a"), trial.worker("b"))}
    trial.publish("sleep", 1, seconds=seconds)
    trial.until_started(1)
    runs = workers[trial.account.events[0].host]
    took, _ = runs.stop(grace=drain + 20)
    stopped = trial.now()
    trial.expect(took <= drain + trial.pick(short=15.0, full=STOP_MARGIN), f"the stop took {took:.1f} s")
    trial.until(lambda account: account.rerun, "the task to start on the other worker", 90)
    starts = [event.at for event in trial.account.events if event.what == "start"]
    again, limit = starts[1] - stopped, trial.pick(short=20, full=5)
    trial.expect(again <= limit, f"it started again {again:.1f} s after the stop, at most {limit} s")
    trial.settle(seconds + 60)
    trial.judge(lost=0, doubled=0, rerun=1)


@row(4, "a second SIGTERM; SIGTERM to the pool's children too")
def repeated_sigterm(trial):
    worker = trial.worker()
    trial.publish("sleep", trial.concurrency, seconds=5, prefix="twice")
    trial.until_started(trial.concurrency)
    for _ in range(2):
        worker.signal("SIGTERM")
    trial.expect(worker.wait(30) == 0, "two SIGTERM: the exit code is not 0")
    trial.expect(trial.account.read().ended == trial.concurrency, "two SIGTERM: a running task did not end")
    worker.start().wait_until_ready()
    trial.publish("sleep", trial.concurrency, seconds=5, prefix="group")
    trial.until_started(2 * trial.concurrency)
    worker.run("python", "-c", "import os, signal; os.kill(-1, signal.SIGTERM)")
    worker.signal("SIGTERM")
    worker.wait(30)
    worker.start()
    trial.settle(AFTER_KILL[trial.broker.name] + 30)
    trial.judge(lost=0, doubled=0, rerun=trial.concurrency)


@row(6, "container out of memory because of one task")
def container_out_of_memory(trial):
    trial.variables |= {"VISIBILITY_TIMEOUT": "5", "DELIVERY_LIMIT": "3"}
    trial.serve(pool="solo", concurrency=1)
    worker = trial.worker(mem_limit="128m", memswap_limit="128m")
    trial.publish("hog", 1, prefix="hog")
    trial.publish("sleep", 20, prefix="neighbour")
    trial.doom("hog")
    trial.settle(180)
    runs = trial.account.read().starts[trial.id("hog")]
    trial.remark(f"{runs} runs of the hog, {worker.restarts} restarts of the container")
    trial.expect(runs <= 4, f"the hog ran {runs} times, at most 4")
    trial.expect(trial.broker.dead_letters(trial.queue) == 1, "the hog is not among the dead letters")
    trial.judge(lost=0, doubled=0, restarts=None)


@row(7, "a task kills its pool process")
def pool_process_killed(trial):
    trial.serve(concurrency=2)
    trial.worker()
    trial.publish("suicide", 1, prefix="suicide")
    neighbours = trial.publishing("sleep", 40, rate=10, seconds=0.05, prefix="neighbour")
    trial.published(neighbours)
    trial.doom("suicide")
    trial.until(lambda _: trial.state(trial.id("suicide")) == "FAILURE", "the task to be given up", 90)
    trial.settle(60)
    runs = trial.account.starts[trial.id("suicide")]
    trial.expect(runs == 4, f"{runs} runs, not the first and three retries")
    trial.judge(lost=0, doubled=0, rerun=3 + trial.concurrency)  # a neighbour may sit in the same process's pipe


@row(19, "a task and a countdown longer than the visibility timeout", brokers=("redis",))
def longer_than_visibility_timeout(trial):
    timeout, seconds = trial.pick(short=(5, 16), full=(10, 60))
    trial.variables["VISIBILITY_TIMEOUT"] = str(timeout)
    trial.serve(concurrency=2, time_limit=seconds + 30)
    trial.worker("a")
    trial.worker("b")
    trial.publish("sleep", 2, seconds=seconds, prefix="long")
    trial.publish("sleep", 2, options={"countdown": seconds}, prefix="later")
    trial.settle(2 * seconds + 30)
    trial.judge(lost=0, doubled=0, rerun=0)


@row(20, "a countdown held while the worker is stopped and killed")
def countdown_held(trial):
    delay = trial.pick(short=25, full=90)
    if not trial.full:
        trial.variables["VISIBILITY_TIMEOUT"] = "5"
    worker = trial.worker()
    before = trial.now()
    trial.publish("sleep", 5, options={"countdown": delay})
    after = trial.now()
    worker.stop()
    worker.start().wait_until_ready()
    worker.kill()
    worker.start().wait_until_ready()
    ready = trial.now() + (int(trial.environment()["VISIBILITY_TIMEOUT"]) + SWEEP if trial.on_redis else 0)
    trial.settle(delay + 90)
    starts = [event.at for event in trial.account.read().events if event.what == "start"]
    early, late = before + delay - min(starts, default=0), max(starts, default=0) - max(after + delay, ready)
    trial.expect(early <= 1, f"started {early:.1f} s too early")
    trial.expect(late <= 5, f"started {late:.1f} s late, at most 5 s")
    trial.judge(lost=0, doubled=0, rerun=0)


@row(21, "a task longer than RabbitMQ's consumer timeout", brokers=("rabbitmq",))
def longer_than_consumer_timeout(trial):
    limit, seconds = 60, 200  # RabbitMQ looks once a minute
    trial.serve(time_limit=seconds + 60)
    trial.broker.limit_deliveries(limit * 1000)
    try:
        trial.worker()
        trial.publish("sleep", 1, seconds=seconds)
        trial.settle(seconds + 120)
    finally:
        trial.broker.limit_deliveries(90_000_000)  # as the stack's configuration says
    trial.judge(lost=0, doubled=0, rerun=0)
