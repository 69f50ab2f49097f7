"""What systemd itself thinks of the units, and what a worker may do in its sandbox."""

from __future__ import annotations

import re

import pytest

from tests.chaos.lab import until
from tests.systemd.host import PREFIX, WORKER

pytestmark = pytest.mark.timeout(1500)  # the first test of a broker makes its host
EXPOSURE = 1.5  # of 10, by `systemd-analyze security`; the units that Celery ships have 9.2


def test_systemd_finds_no_fault_in_any_unit(host):
    units = " ".join(("celery.target", "celery-migrate.service", *host.units()))
    said = host.ask(f"systemd-analyze verify --man=no --recursive-errors=no {units} && echo clean")
    assert said == "clean"


def test_every_unit_is_sandboxed(host):
    told = {}
    for unit in (*host.units(), "celery-migrate.service"):
        said = until(lambda unit=unit: host.ask(f"systemd-analyze security --no-pager {unit} | tail -n 1"), unit)
        told[unit] = float(re.search(r"level for .*: ([\d.]+)", said)[1])
    assert len(told) >= 12
    assert {unit: level for unit, level in told.items() if level > EXPOSURE} == {}


@pytest.fixture(params=[WORKER, "celery-worker@backup.service"])
def inside(host, request):
    """Run Python in the mounts of a running worker, as its user: one that lives as long as it, and one that stays."""

    def run(code):
        pid = host.main_pid(request.param)
        host.write("/run/probe.py", code)
        user = host.run(f"awk '/^Uid/ {{print $2}}' /proc/{pid}/status")
        become = f"setpriv --reuid={user} --regid={user} --clear-groups"
        return host.ask(f"nsenter --target {pid} --mount {become} /usr/bin/python3 - </run/probe.py 2>&1")

    return run


READ = "try: print(sorted(__import__('os').listdir('{path}')))\nexcept OSError as e: print(type(e).__name__)"
WRITE = (
    "try: open('{path}/probe', 'w').close(); print('written')\nexcept OSError as e: print(type(e).__name__, e.errno)"
)


def test_a_worker_cannot_read_the_homes(host, inside):
    host.run("mkdir -p /home/somebody && touch /home/somebody/diary")
    assert inside(READ.format(path="/home")) in {"[]", "PermissionError"}
    assert inside(READ.format(path="/root")) in {"[]", "PermissionError"}


@pytest.mark.parametrize("path", ["/etc", "/var/lib", "/usr", PREFIX])
def test_a_worker_cannot_write_outside_its_directories(host, inside, path):
    """Where anyone may: who may not is told so by the sandbox, not by the folder's owner."""
    host.run(f"install -d -m 1777 {path}/open")
    assert inside(WRITE.format(path=f"{path}/open")) == "OSError 30"
    host.run(f"rmdir {path}/open")


def test_what_a_worker_writes_into_tmp_is_its_own(host, inside):
    assert inside(WRITE.format(path="/tmp")) == "written"  # noqa: S108
    assert "probe" not in host.run("ls /tmp")


def test_no_password_is_in_an_environment_or_readable_by_others(host):
    passwords = host.run("cat /etc/celery-blueprint/credentials/*")
    assert len(passwords) >= 4 * 32
    for unit in host.units():
        environment = host.run(f"tr '\\0' '\\n' </proc/{host.main_pid(unit)}/environ")
        assert not [word for word in re.findall(r"\w{32}", passwords) if word in environment], unit
    modes = host.run("stat --format='%a %U' /etc/celery-blueprint/credentials /etc/celery-blueprint/credentials/*")
    assert set(modes.splitlines()) == {"700 root", "600 root"}


def test_no_port_is_open_to_others(host):
    """Of ours and of the servers that the trial set up; what listens on every address is the distribution's epmd."""
    listening = host.run("cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" {print $2}'").splitlines()
    ports = {int(each.split(":")[1], 16) for each in listening if set(each.split(":")[0]) == {"0"}}
    assert ports <= {4369, 25672}, ports
    assert any(int(each.split(":")[1], 16) == 8000 for each in listening)
