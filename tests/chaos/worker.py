"""A worker, Beat or producer: one container of the application's image, with the Compose stack's restrictions."""

from __future__ import annotations

import time
from datetime import datetime

from tests.chaos.lab import remove, until

HARDENED = {
    "user": "10001:10001",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "tmpfs": {"/tmp": ""},  # noqa: S108  inside the container
    "pids_limit": 200,
}
FOOTPRINT = """
import os, re
print(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/1/status").read())[1], len(os.listdir("/proc/1/fd")))
"""


class Process:
    """A container that a row stops, kills and starts again; as in the stack, it comes back when it ends by itself."""

    def __init__(self, lab, name, command, *, env, files, restart="unless-stopped", **options):
        self.lab = lab
        self.name = name
        self.begun = 0
        self.container = lab.run(
            "app",
            command,
            name,
            hostname=name,
            env=env,
            files=files,
            quiet=name,
            aliases=[name],
            restart_policy={"Name": restart},
            **HARDENED | options,
        )
        self.begun = 1

    def start(self):
        self.container.start()
        self.begun += 1
        return self

    def wait_until_ready(self, seconds=120):
        """Wait for Celery's own word, which the stock worker says too."""
        until(lambda: self.logs().count(" ready.") >= self.begun, f"{self.name} to be ready", seconds)
        return self

    def wait_until_said(self, text, seconds=60):
        until(lambda: text in self.logs(), f"{self.name} to say {text!r}", seconds)
        return self

    def stop(self, grace=60):
        """As `docker stop`; returns the seconds until its end and its exit code, 137 when it had to be killed."""
        began = time.time()
        self.container.stop(timeout=grace)
        self.container.reload()
        state = self.container.attrs["State"]
        return datetime.fromisoformat(state["FinishedAt"]).timestamp() - began, state["ExitCode"]

    def signal(self, name):
        self.container.kill(name)

    def kill(self):
        self.container.kill("SIGKILL")
        self.container.wait()

    def pause(self):
        self.container.pause()

    def resume(self):
        self.container.unpause()

    def wait(self, seconds):
        """Wait for its end; returns its exit code. Raises TimeoutError."""
        until(lambda: not self.is_running(), f"{self.name} to end", seconds)
        return self.container.attrs["State"]["ExitCode"]

    def is_running(self):
        self.container.reload()
        return self.container.status in {"running", "restarting", "paused"}

    @property
    def restarts(self):
        """How often Docker started it again because it had ended by itself."""
        self.container.reload()
        return self.container.attrs["RestartCount"]

    def run(self, *words):
        """Run a command inside; returns its exit code and output."""
        code, output = self.container.exec_run(list(words))
        return code, output.decode(errors="replace")

    def footprint(self):
        """Resident memory in MiB and open files of the main process.

        Asked until it answers: the Engine loses the output of a short command now and then (moby#27289).
        """
        said = until(lambda: self.run("python", "-c", FOOTPRINT)[1], f"{self.name} to tell its footprint")
        memory, files = map(int, said.split())
        return memory / 1024, files

    def cut_off(self):
        """Take it out of the broker's network; its connections are left without a word."""
        self.lab.network.disconnect(self.container)

    def reconnect(self):
        self.lab.network.connect(self.container, aliases=[self.name])

    def logs(self):
        return self.container.logs().decode(errors="replace")

    def remove(self):
        remove(self.container)
