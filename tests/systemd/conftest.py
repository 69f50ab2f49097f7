"""A host with systemd for each broker, installed by `make systemd-install` and its servers from the distribution."""

from __future__ import annotations

import re
import subprocess

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.chaos.lab import ROOT, Lab, remove
from tests.chaos.ledger import Ledger
from tests.checkout import copy_with_queue
from tests.systemd.host import WORKER, WORKLOAD_DROP_IN, Host
from tests.systemd.load import Load

IMAGE = "celery-blueprint/systemd"
QUEUE = "\n[queues.chaos]\ntime_limit = 20\n"
RABBITMQ = pytest.param("rabbitmq", marks=pytest.mark.slow)
on_both = pytest.mark.parametrize("host", ["redis", RABBITMQ], indirect=True, scope="session")


class ByHost(LoadScopeScheduling):
    """Where the tier has several processes, each has the tests of one broker's host, or those of bare ones."""

    def _split_scope(self, nodeid):
        broker = re.search(r"\[(redis|rabbitmq)\b", nodeid)
        return broker[1] if broker else "bare"


def pytest_xdist_make_scheduler(config, log):
    return ByHost(config, log)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of the repository, to which a team has added a queue; nothing but queues.toml was edited."""
    return copy_with_queue(tmp_path_factory.mktemp("checkout"), QUEUE)


@pytest.fixture(scope="session")
def lab():
    lab = Lab()
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def image(lab, checkout):
    """Build a stage of the Dockerfile on a Debian; the laboratory knows it by the name that is returned."""

    def build(stage, suite):
        name = f"{stage}-{suite}"
        lab.images[name] = f"{IMAGE}:{lab.prefix}-{name}"
        script = ROOT / "tests/systemd/image.sh"
        command = [script, checkout, lab.images[name], stage, suite, lab.folder / name]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            pytest.fail(f"{script} ended with {built.returncode}:\n{built.stderr[-6000:]}", pytrace=False)
        return name

    yield build
    tags = [tag for tag in lab.images.values() if tag.startswith(IMAGE)]
    lab.stop()
    subprocess.run(["docker", "rmi", "--force", *tags], check=False, capture_output=True)


@pytest.fixture(scope="session")
def ledger(lab):
    ledger = Ledger(lab)
    yield ledger
    ledger.close()


@pytest.fixture(params=["redis"], scope="session")
def host(lab, ledger, image, request):
    """A host as docs/systemd.md makes it, and the workload's own drop-in."""
    host = Host(lab, request.param, image("installed", "trixie"))
    host.set(BROKER=host.broker, FAULTS="on", VISIBILITY_TIMEOUT=10)
    host.write(f"/etc/systemd/system/{WORKER}.d/70-workload.conf", WORKLOAD_DROP_IN)
    host.run("make -C /checkout systemd-install TRIAL=1")
    host.run("systemctl start celery.target")
    host.until_active()
    yield host
    remove(host.container)


@pytest.fixture
def load(host, ledger):
    host.until_active()
    load = Load(host, ledger)
    yield load
    load.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    used = getattr(item, "funcargs", {})
    for host in used.get("bare_hosts", filter(None, [used.get("host")])) if report.failed else ():
        report.sections.append((f"journal of {host.name}", host.journal()))
        report.sections.append(("units", host.ask("systemctl list-units --no-pager --all 'celery*'")))
    return report
