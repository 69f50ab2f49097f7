"""A Debian host with a systemd of its own: a container whose first process it is."""

from __future__ import annotations

import shlex
import shutil

from docker.types import Mount

from tests.chaos.lab import ROOT, WORKLOAD, until

# Without `--privileged`. SYS_PTRACE, because systemd looks at its own children through a /proc that hides them.
RIGHTS = {
    "cap_add": ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "cgroupns": "host",
    "tmpfs": {"/run": "", "/run/lock": ""},
    "mounts": [Mount("/sys/fs/cgroup", "/sys/fs/cgroup", "bind")],
}
# Mounts are shared, as on a host: in a container systemd leaves them private, and a credential is a mount that its unit
# could not see then.
INIT = "mount --make-rshared / && exec /lib/systemd/systemd"
# For hosts with cgroups of version 1, which systemd 256 and newer refuse otherwise.
LEGACY = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unified_cgroup_hierarchy=0"
STANDSTILL = ROOT / "tests/cluster/overlay/clusterwork.py"
PREFIX = "/opt/celery-blueprint"
WORKER = "celery-worker@chaos.service"
# The chaos rows' tasks in the workers of the queue `chaos`.
WORKLOAD_DROP_IN = """[Service]
Environment=CELERY_APP=workload.clusterwork:app RUN=chaos PYTHONPATH=/srv
"""


class HostError(Exception):
    """A command on the host failed; the text is what it said."""


class Host:
    """Commands run as root, as an administrator's would."""

    def __init__(self, lab, broker, image, files=()):
        self.broker = broker
        self.name = f"{broker}-on-{image}"
        folder = lab.folder / f"workload-{self.name}"  # hosts are made at the same time
        shutil.copytree(WORKLOAD, folder)
        shutil.copy(STANDSTILL, folder)
        legacy = LEGACY if lab.docker.info()["CgroupVersion"] == "1" else ""
        self.container = lab.run(
            image,
            ["sh", "-c", f"{INIT} {legacy}"],
            self.name,
            files=[(folder, "/srv/workload"), *files],
            quiet=self.name,
            hostname=self.name,
            **RIGHTS,
        )
        self.booted()

    def booted(self):
        """Wait until systemd takes commands; units that wait for a server keep it `starting`."""
        states = {"starting", "running", "degraded"}
        until(lambda: self.ask("systemctl is-system-running") in states, f"{self.name} to boot")

    def ask(self, command):
        """What a shell command prints, whatever its exit code."""
        return self.container.exec_run(["bash", "-c", command])[1].decode(errors="replace").strip()

    def run(self, command):
        """Run a shell command; returns what it prints. Raises HostError."""
        code, output = self.container.exec_run(["bash", "-c", command])
        said = output.decode(errors="replace").strip()
        if code:
            raise HostError(f"{command}: exit code {code}: {said}")
        return said

    def write(self, path, text):
        self.run(f"mkdir -p $(dirname {path}) && printf %s {shlex.quote(text)} >{path}")

    def set(self, **variables):
        """Change variables of the units' settings."""
        for name, value in variables.items():
            line, file = shlex.quote(f"{name}={value}"), "/etc/celery-blueprint/celery.env"
            self.run(f"sed -i '/^{name}=/d' {file} && echo {line} >>{file}")

    def show(self, unit, key):
        """A property of a unit; asked until it is there (the Engine loses a short command's output now and then)."""
        return until(lambda: self.ask(f"systemctl show --property={key} {unit}"), f"{unit} {key}").partition("=")[2]

    def is_active(self, unit):
        return self.show(unit, "ActiveState") == "active"

    def main_pid(self, unit):
        return int(self.show(unit, "MainPID"))

    def restarts(self):
        """How often systemd restarted each unit because it had ended by itself."""
        return {unit: int(self.show(unit, "NRestarts")) for unit in self.units()}

    def units(self):
        """The services of celery.target."""
        listed = self.run("systemctl list-dependencies --plain celery.target | grep -o 'celery-.*service'")
        return sorted(set(listed.split()))

    def until_active(self, *units, seconds=300):
        for unit in units or self.units():
            until(lambda unit=unit: self.is_active(unit), f"{unit} to be active", seconds, pause=0.2)

    def restart(self):
        """Reboot: every process ends as systemd ends it, and its memory and /run are gone."""
        self.container.restart(timeout=120)
        self.booted()

    def smoke(self):
        """The smoke test of `make up`; returns what it said."""
        return self.run(f"cd {PREFIX}/current && ./run app.smoke --timeout 240")

    def journal(self, lines=60):
        return self.ask(f"journalctl --no-pager --lines={lines} --unit='celery*'")

    def broker_service(self):
        return {"redis": "redis-server", "rabbitmq": "rabbitmq-server"}[self.broker]
