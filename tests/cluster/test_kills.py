"""Pods that are deleted, forced out, drained from their node, and a broker that is killed, all under load."""

from __future__ import annotations

import json
import time

import pytest

from tests.chaos.lab import until
from tests.cluster.cluster import NAMESPACE, KubectlError
from tests.cluster.load import WORKERS, rabbitmq_is_slow

pytestmark = pytest.mark.timeout(1200)  # the first test of a broker brings the stack up
CONCURRENCY = 2  # of the queue `chaos`
LONGER_THAN_KUBELETS_LEAST = 4  # seconds; kubelet gives 2 to whoever asked for none


@rabbitmq_is_slow
def test_a_deleted_pod_finishes_what_it_runs(stack, load, workers):
    workers.hold(2)
    producer = load.publishing("sleep", 30, rate=1, seconds=LONGER_THAN_KUBELETS_LEAST)
    load.until(lambda account: account.ended > 4, "the load to run")
    stack.kubectl("delete", "pod", stack.names(WORKERS, ready=True)[0], "--wait=false")
    load.published(producer)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


@pytest.mark.slow
def test_a_pod_deleted_by_force_costs_what_it_ran(stack, load, workers):
    """The kubelet leaves a forced-out container two seconds: these tasks are longer."""
    workers.hold(2)
    producer = load.publishing("sleep", 20, rate=2, seconds=5)
    load.until(lambda account: len(account.running) == 2 * CONCURRENCY, "the load to run")
    stack.kubectl("delete", "pod", stack.names(WORKERS, ready=True)[0], "--force", "--grace-period=0")
    load.published(producer)
    load.settle(240)
    load.judge(lost=0, doubled=CONCURRENCY, rerun=CONCURRENCY)
    assert load.account.rerun, "nothing was cut off"


@pytest.mark.slow
def test_a_node_is_drained_within_the_disruption_budget(stack, load, workers):
    """By evictions alone: on one node there is nowhere to go, so the node itself stays open."""
    workers.hold(4)
    producer = load.publishing("sleep", 150, rate=5, seconds=1)
    load.until(lambda account: account.ended > 10, "the load to run")
    refused, gone = 0, stack.names(WORKERS)
    while gone:
        refused += not evict(stack, gone[-1], gone)
        assert len(stack.pods(WORKERS, ready=True)) >= 3, "more than a quarter was away"
        time.sleep(1)
    load.published(producer)
    load.settle()
    assert refused, "the budget refused no eviction"
    load.judge(lost=0, doubled=0, rerun=0)


def evict(stack, name, names):
    """Ask for an eviction as `kubectl drain` does; takes the pod from `names` when it was granted."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    try:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
        stack.kubectl("create", "--raw", path, "--filename=-", given=json.dumps(body))
    except KubectlError as error:
        if "disruption budget" not in str(error):
            raise
        return False
    names.remove(name)
    return True


@pytest.mark.slow
def test_the_brokers_pod_is_killed(stack, load, workers):
    workers.hold(2)
    producer = load.publishing("sleep", 200, rate=10, seconds=0.2)
    load.until(lambda account: account.ended > 20, "the load to run")
    before = stack.restarts()
    stack.kubectl("delete", "pod", f"{stack.broker}-0", "--force", "--grace-period=0")
    load.published(producer, 300)
    until(lambda: stack.names(f"app.kubernetes.io/component={stack.broker}", ready=True), "the broker", 180)
    load.settle(240)
    # Of Redis's last second, which was not on its disk yet (docs/guarantees.md), ten tasks.
    load.judge(lost=10 if stack.broker == "redis" else 0, doubled=2 * CONCURRENCY)
    after = stack.restarts()
    assert not {name for name, count in before.items() if name.startswith("worker-") and after.get(name, count) > count}
