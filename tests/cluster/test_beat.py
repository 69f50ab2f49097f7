"""Beat is one, whatever happens to its pod; its lock is in Redis, whatever the broker is."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.chaos.lab import until
from tests.cluster.load import on_redis

pytestmark = pytest.mark.timeout(1200)  # the first test of a broker brings the stack up
EVERY = 3  # seconds between two ticks
LOCK, LOOP = 30, 5  # seconds: the longest that the lock of a dead Beat lasts, and that a standby sleeps
BEAT = "app.kubernetes.io/component=beat"


@pytest.fixture
def beat(stack, workers):
    """The stack's Beat with the workload's schedule, and a worker for its ticks; afterwards the app's own again."""
    workers.hold(1)
    worker = stack.get("deployment", "worker-chaos")["spec"]["template"]["spec"]
    (source,) = worker["containers"]
    container = {"name": "beat", "env": [*source["env"], {"name": "TICK", "value": str(EVERY)}]}
    container["volumeMounts"] = [each for each in source["volumeMounts"] if each["mountPath"].startswith("/chaos")]
    volumes = [each for each in worker["volumes"] if each["name"] in {"workload", "chaos"}]
    spec = {"volumes": volumes, "containers": [container]}
    patch = {"spec": {"template": {"spec": spec}}}
    stack.kubectl("patch", "deployment", "beat", f"--patch={json.dumps(patch)}")
    stack.rolled_out("deployment/beat")
    yield stack
    stack.kubectl("rollout", "undo", "deployment/beat")
    stack.kubectl("scale", "deployment", "beat", "--replicas=1")
    stack.rolled_out("deployment/beat")


def gaps(account):
    """Seconds between the starts of successive ticks."""
    starts = sorted(event.at for event in account.read().events if event.what == "start")
    return [later - earlier for earlier, later in pairwise(starts)]


@pytest.mark.slow
@on_redis
def test_a_deleted_beat_misses_no_tick(beat, load):
    load.until(lambda account: len(account.starts) >= 3, "three ticks", 120)
    beat.kubectl("delete", "pod", beat.names(BEAT)[0], "--wait=false")
    ticks = len(load.account.starts)
    load.until(lambda account: len(account.starts) >= ticks + 4, "four more ticks", 120)

    print(f"longest time between two ticks: {max(gaps(load.account)):.1f} s")
    assert max(gaps(load.account)) <= LOCK + LOOP + EVERY
    assert len([gap for gap in gaps(load.account) if gap < EVERY / 2]) <= 1  # a late one may catch up


@pytest.mark.slow
@on_redis
def test_two_beats_send_each_tick_once(beat, load):
    load.until(lambda account: account.starts, "a tick", 120)
    beat.kubectl("scale", "deployment", "beat", "--replicas=2")
    until(lambda: len(beat.pods(BEAT)) == 2, "the second Beat")
    ticks = len(load.account.read().starts)
    load.until(lambda account: len(account.starts) >= ticks + 10, "ten ticks", 120)

    assert len(beat.pods(BEAT, ready=True)) == 1, "the one that waits for the lock is not ready"
    assert len([gap for gap in gaps(load.account) if gap < EVERY / 2]) <= 1
