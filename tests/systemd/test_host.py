"""From a checkout to a picture that went through: install, start, reboot, run it again, scale, remove."""

from __future__ import annotations

import pytest

from tests.systemd.conftest import on_both
from tests.systemd.host import PREFIX, WORKER, HostError

pytestmark = pytest.mark.timeout(1500)  # the first test of a broker makes its host


@on_both
def test_row_34_a_picture_goes_through_the_started_target(host):
    said = host.smoke()
    assert "passed" in said and "mail" in said


def test_a_worker_is_ready_when_it_consumes_and_says_so(host):
    host.until_active(WORKER)
    assert host.show(WORKER, "StatusText") == "consumes"
    assert host.show(WORKER, "WatchdogUSec") == "30s"


def test_a_stop_is_for_the_main_process_alone(host):
    """The direct pool's children outlive a SIGTERM; those of Celery's own pool end in the middle of their tasks."""
    assert {host.show(f"celery-worker@{queue}.service", "KillMode") for queue in ("chaos", "media")} == {"mixed"}


def test_the_budget_of_queues_toml_is_the_units(host):
    assert host.show("celery-worker@media.service", "TimeoutStopUSec") == "5min 30s"
    assert host.show("celery-worker@media.service", "MemoryMax") == str(1280 * 2**20)
    assert host.show("celery-worker@backup.service", "TimeoutStopUSec") == "35s"
    assert host.show("celery-worker@backup.service", "User") == "celery"


def test_the_journal_has_the_queue_and_the_worker_as_fields(host):
    for field in ("CELERY_QUEUE=media", "CELERY_INSTANCE=media"):
        said = host.run(f"journalctl --no-pager --output=json {field} --lines=5")
        assert '"_SYSTEMD_UNIT":"celery-worker@media.service"' in said, field


def test_installing_again_changes_nothing(host):
    watched = (
        "find /etc/celery-blueprint /etc/systemd/system /opt/celery-blueprint -printf '%p %m %u %s %l\\n' | sort &&"
        " find /etc/celery-blueprint /etc/systemd/system -type f | sort | xargs sha256sum"
    )
    pids = {unit: host.main_pid(unit) for unit in host.units()}
    files = host.run(watched)
    host.run("make -C /checkout systemd-install")
    assert host.run(watched) == files
    assert {unit: host.main_pid(unit) for unit in host.units()} == pids


@pytest.mark.slow
def test_several_workers_of_one_queue(host):
    host.run("make -C /checkout systemd-scale QUEUE=chaos WORKERS=2")
    assert host.is_active("celery-worker@chaos-2.service")
    assert host.show("celery-worker@chaos-2.service", "TimeoutStopUSec") == "50s"
    host.run("make -C /checkout systemd-scale QUEUE=chaos WORKERS=1")
    assert not host.is_active("celery-worker@chaos-2.service")
    assert host.is_active(WORKER)
    assert "chaos-2" not in host.run("ls /etc/systemd/system")


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("systemd-scale QUEUE=nowhere WORKERS=2", "QUEUE = 'nowhere' is not an installed queue."),
        ("systemd-scale QUEUE=chaos WORKERS=many", "WORKERS = 'many' is not a number from 1 to 9."),
        ("systemd-install PREFIX=here", "PREFIX = 'here' is not a folder that units can name."),
        ("systemd-uninstall PREFIX=/opt/nothing", "Nothing is installed in /opt/nothing."),
    ],
)
def test_what_cannot_be_done_is_said(host, command, fault):
    with pytest.raises(HostError) as refused:
        host.run(f"make -C /checkout {command}")
    assert fault in str(refused.value)


@pytest.mark.slow
@on_both
def test_a_reboot_brings_everything_back(host, load):
    load.publish("sleep", 20, seconds=0.5)
    load.until(lambda account: account.starts, "a task to start")
    host.restart()
    host.until_active()
    load.settle()
    load.judge(lost=0, doubled=0)
    assert "passed" in host.smoke()


@pytest.mark.slow
def test_an_image_is_made_under_another_root_and_everything_is_removed_from_it(host):
    host.run("mkdir -p /image && make -C /checkout systemd-install ROOT=/image")
    assert host.run("stat --format=%a /image/etc/celery-blueprint/credentials/redis_password") == "600"
    assert host.run("ls /image/etc/systemd/system/celery.target.wants")
    assert host.ask(f"grep -rlI /image/opt /image{PREFIX} /image/etc") == ""
    there = f"mount --bind /image{PREFIX} {PREFIX} && cd {PREFIX}/current && ./run celery_runtime --help"
    assert "serve one queue" in host.run(f"unshare --mount sh -c '{there}'")
    host.run("make -C /checkout systemd-uninstall ROOT=/image")
    assert host.run("find /image -name 'celery*' ! -path '*/etc/celery-blueprint*'") == ""
    assert host.run("ls /image/etc/celery-blueprint/celery.env")
