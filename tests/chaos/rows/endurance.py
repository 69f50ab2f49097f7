"""Rows that ask whether something grows."""

from __future__ import annotations

import time

from tests.chaos.matrix import row

GROWTH = 1.1  # from the first round to the last
ROUND = 120  # seconds


@row(33, "a flood of events, and Flower stands still", alone=True)
def event_flood(trial):
    """Redis cuts a reader off at 64 MiB (redis.conf); RabbitMQ drops events of more than 5 s."""
    allowed = 96  # MiB: what Redis keeps for one reader, and the results of the tasks
    trial.serve(concurrency=4)
    worker = trial.worker()
    flower = trial.flower()
    code, said = worker.run("python", "-c", "from workload.app import app; app.control.enable_events(reply=True)")
    trial.expect(code == 0, said[-300:])
    before = trial.broker.memory()
    flower.pause()
    producer = trial.publishing("sleep", trial.pick(short=2000, full=30_000))
    trial.published(producer, 300)
    highest = trial.broker.memory()
    trial.settle(300)
    highest = max(highest, trial.broker.memory()) - before
    trial.remark(f"{highest:.0f} MiB more while Flower stood still")
    trial.expect(highest <= allowed, f"the broker took {highest:.0f} MiB more, at most {allowed}")
    trial.judge(lost=0, doubled=0)


@row(35, "thirty minutes of broker restarts and resets", alone=True)
def soak(trial):
    rounds = trial.pick(short=1, full=15)
    worker = trial.worker()
    producer = trial.publishing("sleep", rounds * ROUND * 20, rate=20, seconds=0.02)
    footprints = []
    for _ in range(rounds):
        began = time.monotonic()
        trial.broker.stop()
        trial.broker.start()
        trial.recovered(trial.now(), 35, wait=True)
        trial.broker.cut_clients()
        trial.recovered(trial.now(), 35, wait=True)
        time.sleep(max(0, ROUND - (time.monotonic() - began)))
        footprints.append(worker.footprint())
    trial.published(producer, 300)
    trial.settle(120)
    (first_memory, first_files), (memory, files) = footprints[0], footprints[-1]
    trial.remark(f"{first_memory:.1f} to {memory:.1f} MiB, {first_files} to {files} open files")
    trial.expect(memory <= first_memory * GROWTH, f"memory grew from {first_memory:.1f} to {memory:.1f} MiB")
    trial.expect(files <= first_files * GROWTH, f"open files grew from {first_files} to {files}")
    # Twice a round: RabbitMQ delivers again what ran when the connection went; on Redis a publish that got no answer is
    # sent again, and both messages run (4 of 36 000, each pair within milliseconds).
    trial.judge(lost=0, doubled=2 * rounds * (1 if trial.on_redis else trial.concurrency))
