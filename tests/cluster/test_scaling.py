"""Workers follow what waits and what runs, and none of it is lost on the way up or down."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.chaos.lab import until
from tests.cluster.load import WORKERS, on_redis, rabbitmq_is_slow

pytestmark = pytest.mark.timeout(1200)  # the first test of a broker brings the stack up


class Watch:
    """Notes the replicas that the Deployment should have, every half second, on the ledger's clock."""

    def __init__(self, stack, ledger):
        self.stack, self.seen = stack, []
        self.ahead = ledger.now() - time.time()  # seconds; the ledger may run in a virtual machine
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def _look(self):
        while not self.stopped.wait(0.5):
            self.seen.append((time.time() + self.ahead, self.stack.replicas("worker-chaos")))

    @property
    def most(self):
        return max((replicas for _, replicas in self.seen), default=0)

    @property
    def woken(self):
        """When the Deployment was first asked for a worker."""
        return min(at for at, replicas in self.seen if replicas)


def until_asleep(stack, seconds=300):
    until(lambda: stack.replicas("worker-chaos") == 0, "worker-chaos to be at zero", seconds, pause=0.5)
    until(lambda: not stack.pods(WORKERS), "its pods to go", 90, pause=0.5)


@rabbitmq_is_slow
def test_from_zero_to_many_and_back(stack, ledger, load):
    until_asleep(stack)
    with Watch(stack, ledger) as watch:
        load.publish("sleep", 60, seconds=2)
        load.settle(180)
        ended = ledger.now()
        until_asleep(stack)

    first = min(event.at for event in load.account.read().events) - watch.woken
    print(f"from KEDA's decision to the first start: {first:.1f} s; at most {watch.most} workers")
    assert watch.most > 1
    assert not [at for at, replicas in watch.seen if not replicas and watch.woken < at < ended]
    load.judge(lost=0, doubled=0, rerun=0)


@pytest.mark.slow
def test_scale_down_from_6_to_1_under_load(stack, load, workers):
    workers.hold(6)
    producer = load.publishing("sleep", 300, rate=15, seconds=1)
    load.until(lambda account: account.ended > 40, "the load to run")
    workers.hold(1, wait=False)
    load.published(producer)
    workers.until_ready(1)
    load.settle(240)
    load.judge(lost=0, doubled=0, rerun=0)


@pytest.fixture
def impatient(stack):
    """KEDA lets the last worker go as soon as it sees no task, not after the queue's drain, which none outlasts."""

    def wait(seconds):
        patch = json.dumps({"spec": {"cooldownPeriod": seconds}})
        stack.kubectl("patch", "scaledobject", "worker-chaos", "--type=merge", f"--patch={patch}")

    usual = stack.get("scaledobject", "worker-chaos")["spec"]["cooldownPeriod"]
    wait(1)
    yield
    wait(usual)


@pytest.mark.slow
def test_a_task_keeps_the_last_worker(stack, load, impatient):
    """Nothing waits, one task runs, just below its soft time limit.

    From zero, or the decision to go there may have been made just before the task came; the worker drains then.
    """
    until_asleep(stack)
    load.publish("sleep", 1, seconds=9)
    load.until(lambda account: account.starts, "the task to start", 120)
    while not load.account.read().ended:
        assert stack.replicas("worker-chaos") >= 1
        time.sleep(0.5)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


@pytest.fixture
def without_keda(stack, repository):
    """The queue `chaos` with the scaler of components/hpa-cpu instead of KEDA's."""
    components = repository[0] / "deploy/k8s/components"
    keda = components / f"keda/{stack.broker}/queues/chaos.yaml"
    hpa = components / "hpa-cpu/queues/chaos.yaml"
    stack.kubectl("delete", f"--filename={keda}")
    stack.kubectl("scale", "deployment", "worker-chaos", "--replicas=1")  # from zero an HPA does nothing
    stack.kubectl("apply", f"--filename={hpa}")
    yield
    stack.kubectl("delete", f"--filename={hpa}")
    stack.kubectl("apply", f"--filename={keda}")


@pytest.mark.slow
@on_redis
def test_without_keda_workers_follow_their_cpu(stack, load, without_keda):
    until(lambda: stack.names(WORKERS, ready=True), "a worker", 180)
    producers = [load.publishing("sleep", 4000) for _ in range(2)]
    until(lambda: stack.replicas("worker-chaos") > 1, "a second worker", 180, pause=1)
    for producer in producers:
        load.published(producer)
    load.settle(240)
    load.judge(lost=0, doubled=0, rerun=0)
