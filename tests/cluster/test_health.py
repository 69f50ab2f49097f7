"""Who is restarted, and who is not."""

from __future__ import annotations

import time

import pytest

from tests.chaos.lab import until
from tests.cluster.load import WORKERS, on_redis

pytestmark = pytest.mark.timeout(1200)  # the first test of a broker brings the stack up
AWAY = {"redis": 600, "rabbitmq": 120}  # seconds without a broker; a probe that asked it would have failed after 60
TOLD_BY = 300  # seconds: 60 until a loop counts as stuck, four failed probes of 15, and the grace of its container


@pytest.mark.slow
@on_redis
def test_a_worker_whose_loop_is_stuck_is_restarted(stack, load, workers):
    workers.hold(1)
    (name,) = stack.names(WORKERS, ready=True)
    stack.run(name, "python", "-c", "import os, signal; os.kill(1, signal.SIGUSR2)")
    until(lambda: stack.restarts().get(name), "the restart", TOLD_BY, pause=2)
    workers.until_ready(1)
    load.publish("sleep", 5)
    load.settle()
    load.judge(lost=0, doubled=0)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_nobody_is_restarted_while_the_broker_is_away(stack, load, workers):
    workers.hold(1)
    before = all_but_the_broker(stack)
    stack.kubectl("scale", "statefulset", stack.broker, "--replicas=0")
    try:
        until(lambda: not stack.pods(WORKERS, ready=True), "the worker to be not ready", 120)
        time.sleep(AWAY[stack.broker])
        assert all_but_the_broker(stack) == before
        assert stack.replicas("worker-default") == 1
    finally:
        stack.kubectl("scale", "statefulset", stack.broker, "--replicas=1")
    workers.until_ready(1)
    load.publish("sleep", 5)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


def all_but_the_broker(stack):
    return {name: count for name, count in stack.restarts().items() if not name.startswith(stack.broker)}
