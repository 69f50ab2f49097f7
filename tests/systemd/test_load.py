"""Stops, kills and upgrades under load; the ledger tells what was lost."""

from __future__ import annotations

import pytest

from tests.chaos.lab import until
from tests.systemd.conftest import on_both
from tests.systemd.host import PREFIX, WORKER

pytestmark = pytest.mark.timeout(1500)  # the first test of a broker makes its host


@on_both
def test_stops_under_load(host, load):
    producer = load.publishing("sleep", 120, rate=20, seconds=0.3)
    for number in (1, 2, 3):
        load.until(lambda account, at_least=20 * number: account.ended >= at_least, "the load to run")
        host.run(f"systemctl stop {WORKER}")
        assert host.show(WORKER, "Result") == "success"  # within its budget, or systemd had killed it
        assert host.show(WORKER, "ExecMainStatus") == "0"
        host.run(f"systemctl start {WORKER}")
    load.published(producer)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


@on_both
def test_a_killed_main_process_is_started_again_and_its_tasks_run(host, load):
    before, restarts = host.main_pid(WORKER), int(host.show(WORKER, "NRestarts"))
    producer = load.publishing("sleep", 30, rate=20, seconds=0.5)
    load.until(lambda account: account.ended > 5, "the load to run")
    host.run(f"systemctl kill --signal=KILL --kill-whom=main {WORKER}")
    until(lambda: int(host.show(WORKER, "NRestarts")) > restarts, "the restart")
    load.published(producer)
    load.settle()
    load.judge(lost=0, rerun=2)
    assert host.main_pid(WORKER) != before


@pytest.mark.slow
@on_both
def test_an_upgrade_under_load(host, load):
    release = f"readlink {PREFIX}/current"
    before, old = host.main_pid(WORKER), host.run(release)
    producer = load.publishing("sleep", 120, rate=5, seconds=0.3)
    load.until(lambda account: account.ended > 10, "the load to run")
    host.run("echo '# another release' >>/checkout/app/__init__.py && make -C /checkout systemd-install")
    new = host.run(release)
    assert new != old
    assert host.run(f"readlink /proc/{host.main_pid(WORKER)}/cwd") == new
    assert host.main_pid(WORKER) != before
    assert host.run(f"test -e {old}/run && echo kept") == "kept"  # to go back to
    load.published(producer)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


@pytest.mark.slow
def test_a_child_out_of_memory_does_not_end_the_unit(host, load):
    main = host.main_pid(WORKER)
    load.publish("hog", 1)
    load.until(lambda account: account.rerun >= 1, "the hog to be killed and tried again")
    load.account.doomed |= load.account.accepted
    load.publish("sleep", 10)
    load.settle()
    load.judge(lost=0, doubled=0)
    assert host.main_pid(WORKER) == main
    assert host.is_active(WORKER)
