"""Real workers on Redis that hold messages for longer than the visibility timeout, lose connections, stop and die."""

from __future__ import annotations

import os
import signal
import sys
import time

import httpx
import pytest

from celery_runtime.redis_transport import keys
from tests.integration.conftest import PASSWORD
from tests.integration.processes import Service, answers
from tests.integration.redis_peers import held, waiting
from tests.integration.redis_servers import LocalServer, command_counts, commands_since
from tests.ports import free_port

pytestmark = pytest.mark.parametrize("broker", ["redis"], indirect=True)
VISIBILITY = 5  # seconds, the shortest that is allowed; with the sweep, a dead worker's messages are back within 10
BACK = 2 * VISIBILITY + 5
PREFETCH = "from app.celery import app\napp.conf.worker_prefetch_multiplier = 4\n"
LATER = """
import sys
from uuid import UUID
from app.celery import app
from app.db import transaction
from app.models import FaultBatch
queue, count, countdown = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
batch = FaultBatch(name="count", queue=queue, count=count, seconds=0, accepted=count)
with transaction() as session:
    session.add(batch)
for n in range(count):
    app.send_task("app.tasks.faults.count", args=[str(batch.id), n, 0], queue=queue, countdown=countdown)
print("batch", batch.id)
"""
CUTS = """
import sys, time
from redis import Redis
from app.celery import app
from app.db import transaction
from app.models import FaultBatch
queue, cuts, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
batch = FaultBatch(name="count", queue=queue, count=2 * cuts, seconds=0, accepted=2 * cuts)
with transaction() as session:
    session.add(batch)
admin = Redis(port=port, username="admin", password="integration")
for cut in range(cuts):
    for n in (2 * cut, 2 * cut + 1):
        app.send_task("app.tasks.faults.sleep", args=[str(batch.id), n, 0.3], queue=queue)
    time.sleep(cut % 4 / 1000)
    admin.client_kill_filter(_type="normal", skipme=True)
    while admin.llen(queue) + admin.hlen(f"unacked:{queue}"):
        time.sleep(0.05)
print("batch", batch.id)
"""


class Site(Service):
    """The app's API and the workers that a test starts, on a Redis of their own; `admin` may do everything there."""

    def __init__(self, environment, logs, port, admin):
        super().__init__(environment | {"REDIS_URL": f"redis://celery@127.0.0.1:{port}/0"}, logs)
        self.environment["VISIBILITY_TIMEOUT"] = str(VISIBILITY)
        self.admin, self.admin_port = admin, port

    def start_api(self):
        self.run("migrate", [sys.executable, "-m", "app.migrate"])
        port = free_port()
        self.start("api", ["-m", "app.api"], API_HOST="127.0.0.1", API_PORT=port)
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        self.wait(lambda: answers(self.api), "the API to answer")

    def begin(self, *names, folder, prefetch=False, **options):
        """Start workers of the queue `email`, with `options` in queues.toml, and wait until they are ready."""
        for name in names:
            file = folder / f"{name}.toml"
            settings = {"concurrency": 1, "time_limit": 60, "drain": 70, **options}
            lines = [f"{key} = {value!r}" for key, value in settings.items()]
            file.write_text("\n".join(["[queues.email]", *lines]) + "\n")
            variables = {"QUEUES_FILE": file, "NODE_NAME": name}
            if prefetch:
                (folder / "with_prefetch.py").write_text(PREFETCH)
                paths = os.pathsep.join([str(folder), self.environment["PYTHONPATH"]])
                variables |= {"CELERY_APP": "with_prefetch:app", "PYTHONPATH": paths}
            self.start_worker("email", name, **variables)
        for name in names:
            self.wait(lambda name=name: self.health(name, "ready"), f"{name} to be ready")

    def sleep(self, count, seconds):
        return self.fault("sleep", count=count, seconds=seconds, queue="email")["batch"]

    def counts(self, batch):
        ledger = self.ledger(batch)
        return ledger["started"], ledger["ended"]

    def holds(self):
        return held(self.admin, "email")

    def forget(self, name):
        """The process `name`, which the test ends itself."""
        self.health_ports.pop(name)
        return self.processes.pop(name)

    def stop_workers(self):
        for name in [name for name in self.processes if name != "api"]:
            assert self.stop(name) == 0


@pytest.fixture(scope="module")
def running(environment, own_redis, tmp_path_factory):
    site = Site(environment, tmp_path_factory.mktemp("logs"), *own_redis)
    try:
        site.start_api()
        yield site
    finally:
        site.stop_all()


@pytest.fixture
def site(running, tmp_path):
    """Afterwards every worker has stopped in peace and nothing of it is left in Redis."""
    running.folder = tmp_path
    try:
        yield running
        running.stop_workers()
        left = [key for key in running.admin.keys("*") if key.startswith(("claiming", "unacked"))]
        assert not left
    finally:
        for name in [name for name in running.processes if name != "api"]:
            process = running.forget(name)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        running.admin.delete("email", keys.unacked("email"), keys.unacked_index("email"), keys.claiming("email"))


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.slow)])
def test_what_runs_when_the_connection_is_cut_ends_once_and_what_waits_goes_back(site, pool):
    site.begin("worker-cut", folder=site.folder, pool=pool, concurrency=2, prefetch=True)
    batch = site.sleep(10, 2)
    site.wait(lambda: site.counts(batch)[0] == 2 and site.holds() == 8, "two tasks to run and six to wait behind them")

    site.admin.execute_command("CLIENT", "KILL", "TYPE", "normal")

    site.wait(lambda: site.counts(batch)[1] == 10, "all tasks", 40)
    site.wait(lambda: site.holds() == 0, "the acknowledgements")
    assert site.counts(batch) == (10, 10)


@pytest.mark.slow
def test_a_worker_that_was_suspended_for_too_long_leaves_its_task_to_the_other(site):
    site.begin("worker-asleep", folder=site.folder)
    batch = site.sleep(1, 16)
    site.wait(lambda: site.counts(batch)[0] == 1, "the task to start")
    site.begin("worker-awake", folder=site.folder)
    group = site.processes["worker-asleep"].pid
    os.killpg(group, signal.SIGSTOP)
    try:
        site.wait(lambda: site.counts(batch)[0] == 2, "the other worker to take over", BACK)
    finally:
        os.killpg(group, signal.SIGCONT)

    site.wait(lambda: "is not ours any more" in site.log("worker-asleep"), "the first worker to notice", 10)
    site.wait(lambda: site.counts(batch)[1] == 1, "the task's end", 30)
    site.wait(lambda: site.holds() == 0, "the acknowledgement")
    time.sleep(1)  # for an end that must not come
    assert site.counts(batch) == (2, 1)


@pytest.mark.parametrize(
    "pool", ["prefork", pytest.param("threads", marks=pytest.mark.slow), pytest.param("solo", marks=pytest.mark.slow)]
)
def test_a_task_longer_than_the_timeout_runs_once_while_another_worker_is_idle(site, pool):
    site.begin("worker-busy", folder=site.folder, pool=pool, prefetch=pool != "solo")
    batch = site.sleep(1 if pool == "solo" else 3, 4.5 if pool != "solo" else 12)
    number = 1 if pool == "solo" else 3
    site.wait(lambda: site.counts(batch)[0] == 1 and site.holds() == number, "one to start, all to be held")
    site.begin("worker-idle", folder=site.folder)

    site.wait(lambda: site.ledger(batch)["lost"] == 0, "all tasks", 30)
    started = site.counts(batch)
    site.wait(lambda: site.holds() == 0, "the acknowledgements")
    assert started == ((1, 1) if pool == "solo" else (3, 3))
    assert "back in the queue" not in site.log("worker-idle") + site.log("worker-busy")


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.slow)])
def test_what_waits_behind_running_tasks_goes_back_at_once_when_the_worker_stops(site, pool):
    site.begin("worker-last", folder=site.folder, pool=pool, concurrency=2, prefetch=True)
    batch = site.sleep(10, 8)
    site.wait(lambda: site.counts(batch)[0] == 2 and site.holds() == 8, "two tasks to run and six to wait behind them")

    site.processes["worker-last"].terminate()
    site.wait(lambda: waiting(site.admin, "email") == 8, "the unstarted tasks to go back", 6)
    assert site.counts(batch) == (2, 0)
    assert site.stop("worker-last") == 0
    assert site.counts(batch) == (2, 2) and waiting(site.admin, "email") == 8 and site.holds() == 0


@pytest.mark.slow
def test_tasks_that_wait_for_their_time_go_back_when_the_worker_stops_and_run_once(site):
    site.begin("worker-one", folder=site.folder)
    printed = site.run("later", [sys.executable, "-c", LATER, "email", "5", "12"])
    batch = printed.rpartition("batch ")[2].split()[0]
    site.wait(lambda: site.holds() == 5, "the worker to hold them")
    assert site.stop("worker-one") == 0
    assert waiting(site.admin, "email") == 5 and site.counts(batch) == (0, 0)

    site.begin("worker-two", folder=site.folder)
    site.wait(lambda: site.counts(batch)[1] == 5, "their time", 40)
    assert site.counts(batch) == (5, 5)


@pytest.mark.slow
def test_ten_kills_under_load_lose_nothing(site):
    count = 2000
    batch = site.fault("count", count=count, queue="email")["batch"]
    for kill in range(10):
        name = f"worker-{kill}"
        before = site.counts(batch)[1]
        site.begin(name, folder=site.folder, concurrency=2)
        wanted = min(before + 7 * (kill + 1), count)
        site.wait(lambda wanted=wanted: site.counts(batch)[1] >= wanted, "some tasks", 30)
        process = site.forget(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    site.begin("worker-after", folder=site.folder, concurrency=2)
    site.wait(lambda: site.ledger(batch)["lost"] == 0, "all tasks", 120)
    site.wait(lambda: site.holds() == 0, "the acknowledgements")
    assert site.ledger(batch)["doubled"] <= 2 * 10


@pytest.mark.slow
def test_forty_cuts_just_when_tasks_begin_lose_and_double_nothing(site):
    site.begin("worker-storm", folder=site.folder, concurrency=2)
    printed = site.run("cuts", [sys.executable, "-c", CUTS, "email", "40", str(site.admin_port)])
    batch = printed.rpartition("batch ")[2].split()[0]
    site.wait(lambda: site.ledger(batch)["lost"] == 0, "all tasks")
    site.wait(lambda: site.holds() == 0, "the acknowledgements")
    assert site.counts(batch) == (80, 80)


def test_a_backlog_costs_little_more_than_a_command_for_each_task_after_a_cut_too(site):
    count = 600
    site.begin("worker-fast", folder=site.folder, concurrency=2)
    site.wait(lambda: any(client["cmd"] == "blmove" for client in site.admin.client_list()), "the worker to wait")
    site.admin.execute_command("CLIENT", "KILL", "TYPE", "normal")  # a connection cut before its use is just replaced
    site.wait(lambda: "Connection to broker lost" in site.log("worker-fast"), "the worker to notice")
    before = command_counts(site.admin)
    batch = site.fault("count", count=count, queue="email")["batch"]
    site.wait(lambda: site.counts(batch)[1] == count, "all tasks", 60)
    sent = commands_since(site.admin, before)
    # Each claim, sweep and renewal asks for the time once; what stores results does not. 200: what waiting costs.
    assert sent["time"] + sent.get("blmove", 0) <= 1.2 * count + 200


def test_a_redis_cluster_is_refused(site):
    with LocalServer(site.folder / "cluster", "cluster-enabled yes", password=PASSWORD) as server:
        with server.client() as admin:
            admin.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        site.start_worker("email", "worker-cluster", REDIS_URL=f"redis://127.0.0.1:{server.port}/0")
        worker = site.forget("worker-cluster")
        assert worker.wait(30) == 2
    assert "names a Redis Cluster" in site.log("worker-cluster") and "Traceback" not in site.log("worker-cluster")
