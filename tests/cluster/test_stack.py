"""The stack comes up from nothing, and keeps what it promises about itself."""

from __future__ import annotations

import json

import pytest

from tests.chaos.lab import until
from tests.cluster.cluster import KubectlError

pytestmark = pytest.mark.timeout(1200)  # the first test of a broker brings the stack up
ROOT_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "as-root"},
    "spec": {"containers": [{"name": "shell", "image": "busybox:1.37", "securityContext": {"runAsUser": 0}}]},
}


def test_the_first_picture_is_processed(stack):
    seconds, said = stack.came_up
    print(f"from make k8s-up to the first picture: {seconds:.0f} s, images built and handed over in between")

    assert "passed" in said and "20 tasks accepted, lost 0, doubled 0" in said


def test_every_scaler_reads_the_broker(stack):
    def conditions():
        return {
            scaler["metadata"]["name"]: {each["type"]: each["status"] for each in scaler["status"]["conditions"]}
            for scaler in stack.get("scaledobjects")["items"]
        }

    until(lambda: all(of["Ready"] == "True" for of in conditions().values()), "KEDA to have looked at every queue")
    assert len(conditions()) > 1
    assert not [name for name, of in conditions().items() if of["Fallback"] == "True"], "KEDA cannot read the broker"


def test_restricted_rejects_a_pod_of_root(stack):
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        stack.kubectl("apply", "--filename=-", given=json.dumps(ROOT_POD))


def reach(stack, deployment, host, port):
    """Whether a connection from a pod of the deployment gets an answer from one of ours: a proxy may accept any."""
    script = f"import socket; socket.create_connection(('{host}', {port}), 3).close(); print('open')"
    try:
        return "open" in stack.run(f"deployment/{deployment}", "python", "-c", script)
    except KubectlError:
        return False


def test_a_worker_reaches_broker_database_and_names_and_nothing_else(stack):
    broker = ("redis", 6379) if stack.broker == "redis" else ("rabbitmq", 5672)
    assert reach(stack, "worker-default", *broker)
    assert reach(stack, "worker-default", "postgres", 5432)

    assert not reach(stack, "worker-default", "flower", 80)
    assert not reach(stack, "worker-default", "api", 80)
    assert not reach(stack, "worker-default", "kubernetes.default", 443)
    assert not reach(stack, "beat", "postgres", 5432)
    assert not reach(stack, "exporter", "postgres", 5432)


def test_no_pod_was_restarted(stack):
    assert not {name: count for name, count in stack.restarts().items() if count}
