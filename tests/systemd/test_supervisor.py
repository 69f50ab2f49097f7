"""The same load under a real supervisord, with the programs of deploy/systemd/supervisor."""

from __future__ import annotations

import re

import pytest

from tests.chaos.lab import until
from tests.systemd.conftest import on_both
from tests.systemd.load import Load

# The first test of a broker makes its host.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), on_both]
FOLDER = "/etc/supervisor/conf.d"
ENVIRONMENT = 'CELERY_APP="workload.app:app",RUN="chaos",QUEUE="chaos",PYTHONPATH="/srv",VISIBILITY_TIMEOUT="10"'


@pytest.fixture(scope="module")
def supervised(host):
    """supervisord in place of celery.target, as docs/systemd.md says."""
    host.run("systemctl stop celery.target 'celery-*'")
    host.run("make -C /checkout supervisor-install")
    host.run(
        f"sed -i '/program:worker-chaos/,/^$/ s|^environment=|environment={ENVIRONMENT},|' {FOLDER}/celery-workers.conf"
    )
    host.run(f'sed -i \'s|BROKER="redis"|BROKER="{host.broker}"|\' {FOLDER}/celery.conf')
    host.run("systemctl start supervisor")
    until(lambda: re.search(r"worker-chaos\S* +RUNNING", host.ask("supervisorctl status")), "the worker to run", 90)
    yield host
    host.run("systemctl stop supervisor")
    host.run(f"rm {FOLDER}/celery*.conf")
    host.run("systemctl start celery.target")


@pytest.fixture
def load_supervised(supervised, ledger):
    load = Load(supervised, ledger)
    yield load
    load.close()


def test_stops_under_load(supervised, load_supervised):
    load = load_supervised
    producer = load.publishing("sleep", 120, rate=20, seconds=0.3)
    for number in (1, 2):
        load.until(lambda account, at_least=20 * number: account.ended >= at_least, "the load to run")
        supervised.run("supervisorctl restart worker-chaos:*")
    load.published(producer)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)
    assert "FATAL" not in supervised.ask("supervisorctl status")


def test_a_killed_worker_is_started_again_and_leaves_no_child(supervised, load_supervised):
    load = load_supervised
    pid = supervised.run("supervisorctl pid worker-chaos:worker-chaos-1")
    load.publish("sleep", 20, seconds=0.5)
    load.until(lambda account: account.ended > 2, "the load to run")
    supervised.run(f"kill -KILL {pid}")
    load.settle()
    load.judge(lost=0, rerun=2)
    assert supervised.run("supervisorctl pid worker-chaos:worker-chaos-1") != pid
    # Two children, which a plain SIGKILL leaves to themselves: they must see that their parent is gone.
    until(lambda: supervised.ask("pgrep --count --full 'celery_runtime worker chaos$'") == "3", "the old ones to end")
