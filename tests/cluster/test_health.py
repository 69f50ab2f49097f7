"""Who is restarted, and who is not."""

from __future__ import annotations

import time

import pytest

from tests.chaos.lab import until
from tests.cluster.load import WORKERS

AWAY = {"redis": 600, "rabbitmq": 100}  # seconds without a broker; a probe that asked it would have failed after 60
# Seconds: 60 until a loop counts as stuck, four failed probes of 15, the grace of its container, and a new start.
STUCK_FOR = 180


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_while_the_broker_is_away_a_stuck_worker_is_restarted_and_nobody_else(stack, load, workers):
    workers.hold(2)
    stuck = stack.names(WORKERS, ready=True)[:1] if AWAY[stack.broker] > STUCK_FOR else []
    before = all_but_the_broker(stack)
    for name in stuck:  # while it is connected: one that looks for its broker counts as alive
        stack.run(name, "python", "-c", "import os, signal; os.kill(1, signal.SIGUSR2)")
        before[name] += 1
    stack.kubectl("scale", "statefulset", stack.broker, "--replicas=0")
    try:
        until(lambda: stack.names(WORKERS, ready=True) in ([], stuck), "the workers to be not ready", 120)
        time.sleep(AWAY[stack.broker])
        assert all_but_the_broker(stack) == before
        assert stack.replicas("worker-default") == 1
    finally:
        stack.kubectl("scale", "statefulset", stack.broker, "--replicas=1")
    workers.until_ready(2)
    load.publish("sleep", 10)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


def all_but_the_broker(stack):
    return {name: count for name, count in stack.restarts().items() if not name.startswith(stack.broker)}
