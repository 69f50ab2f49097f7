"""One stack in the cluster of KUBECONFIG, made by `make k8s-up` from a copy of the repository with one more queue.

First on Redis, then on RabbitMQ, in the same namespace, as a team would move. A namespace that was there before is left
alone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.chaos.lab import until
from tests.checkout import copy_with_queue
from tests.cluster.cluster import NAMESPACE, Cluster, KubectlError
from tests.cluster.load import WORKERS, ForwardedLedger, Load

ROOT = Path(__file__).parents[2]
OVERLAY = Path(__file__).parent / "overlay"
WORKLOAD = ROOT / "tests/chaos/workload"
CHAOS_QUEUE = """
[queues.chaos]
time_limit = 20
scale = { min = 0, max = 6, tasks_per_replica = 2 }
resources = { cpu = "100m", memory = "256Mi" }
"""
OVERLAYS = {"redis": "local", "rabbitmq": "rabbitmq"}


@pytest.fixture(scope="session")
def cluster():
    cluster = Cluster()
    if cluster.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        pytest.fail(f"the namespace {NAMESPACE} exists, and may be somebody's: make k8s-down", pytrace=False)
    yield cluster
    subprocess.run([ROOT / "deploy/k8s/down.sh"], env={**os.environ, "YES": "1"}, check=False)


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A copy of the repository, to which a team has added a queue; nothing but queues.toml was edited."""
    copy = copy_with_queue(tmp_path_factory.mktemp("repository"), CHAOS_QUEUE)
    image = f"celery-blueprint/app:cluster-{secrets.token_hex(3)}"
    yield copy, image
    subprocess.run(["docker", "rmi", "--force", image], check=False, capture_output=True)


@pytest.fixture(scope="session", params=list(OVERLAYS))
def stack(cluster, repository, request):
    """The cluster with the stack on one broker, and the seconds from `apply` to the first picture."""
    copy, image = repository
    environ = {**os.environ, "OVERLAY": OVERLAYS[request.param], "APP_IMAGE": image}
    began = time.monotonic()
    result = subprocess.run([copy / "deploy/k8s/up.sh"], env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.fail(f"up.sh ended with {result.returncode}:\n{result.stdout}\n{result.stderr}", pytrace=False)
    cluster.came_up = (time.monotonic() - began, result.stdout)
    apply_workload(cluster, copy)
    cluster.broker = request.param
    return cluster


def apply_workload(cluster, copy):
    """The ledger, and the chaos rows' tasks in the workers of the queue `chaos`."""
    folder = copy / ".cache/workload"
    folder.mkdir(exist_ok=True)
    for path in (*OVERLAY.iterdir(), *WORKLOAD.glob("*.py")):
        if path.is_file():
            shutil.copy(path, folder)
    (folder / "__init__.py").touch()
    made = yaml.safe_load((copy / ".cache/k8s/kustomization.yaml").read_text())
    overlay = yaml.safe_load((folder / "kustomization.yaml").read_text())
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay | {"images": made["images"]}))
    cluster.kubectl("apply", "--kustomize", str(folder))
    for deployment in ("ledger", "worker-chaos"):
        cluster.rolled_out(f"deployment/{deployment}")


@pytest.fixture(scope="session")
def ledger(stack):
    with stack.forwarded("service/ledger", 6379) as port:
        ledger = ForwardedLedger(port)
        yield ledger
        ledger.close()


@pytest.fixture
def load(stack, ledger):
    load = Load(stack, ledger, stack.broker)
    yield load
    load.close()


@pytest.fixture
def workers(stack):
    """Hold the workers of `chaos` at a number, whatever KEDA thinks; afterwards they are KEDA's again."""
    yield Workers(stack)
    stack.kubectl("annotate", "scaledobject", "worker-chaos", "autoscaling.keda.sh/paused-replicas-")


class Workers:
    def __init__(self, cluster):
        self.cluster = cluster

    def hold(self, number, *, wait=True):
        note = f"autoscaling.keda.sh/paused-replicas={number}"
        self.cluster.kubectl("annotate", "--overwrite", "scaledobject", "worker-chaos", note)
        if wait:
            self.until_ready(number)

    def until_ready(self, number):
        until(lambda: len(self.cluster.pods(WORKERS, ready=True)) == number, f"{number} workers", 180, pause=0.5)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack:
        for words in (("get", "pods,scaledobjects,hpa", "-o", "wide"), ("get", "events", "--sort-by=.lastTimestamp")):
            try:
                report.sections.append((" ".join(words), stack.kubectl(*words)[-6000:]))
            except KubectlError as error:
                report.sections.append((" ".join(words), str(error)))
    return report
