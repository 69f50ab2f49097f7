"""One worker of `anyapp` as a process, with the runtime around it, and a producer in front of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from celery import Celery

from celery_runtime import install
from tests.ports import free_port

FOLDER = Path(__file__).parent / "anyapp"
ROOT = Path(__file__).parents[2]
RUNTIME = (sys.executable, "-m", "celery_runtime")


class RuntimeWorker:
    """Starts `celery-runtime COMMAND`, or that of another `program`; `folder` gets the log and queues.toml."""

    def __init__(
        self,
        folder,
        environment,
        queues="[queues.anyapp]\n",
        command=("worker", "anyapp"),
        program=RUNTIME,
        **variables,
    ):
        self.folder = folder
        self.log_file = folder / "worker.log"
        self.port = free_port()
        (folder / "queues.toml").write_text(queues)
        self.environment = environment | {
            "PATH": os.environ["PATH"],
            "CELERY_APP": "anyapp:app",
            "QUEUES_FILE": str(folder / "queues.toml"),
            "HEALTH_PORT": str(self.port),
            "PYTHONPATH": f"{FOLDER}{os.pathsep}{ROOT}",
            **{name: str(value) for name, value in variables.items()},
        }
        self.command = (*program, *command)
        self.wait_for = "/readyz"

    def __enter__(self):
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        try:
            self.wait(lambda: self.get(self.wait_for)[0] == 200, "the worker to be ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with suppress(ProcessLookupError):  # children that outlive their parent hold its name on RabbitMQ
            os.killpg(self.process.pid, signal.SIGKILL)

    def get(self, path, **headers):
        """Status and text of the health server's answer; 0 without one."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def tick_age(self):
        """Seconds since the worker's loop gave a sign of life."""
        return json.loads(self.get("/livez")[1])["last_tick_seconds"]

    def producer(self, monkeypatch):
        """The app as a web process has it, in this process, which would keep a tracer for ever."""
        for name, value in self.environment.items():
            if name not in {"PATH", "PYTHONPATH", "TRACING_URL"}:
                monkeypatch.setenv(name, value)
        return install(Celery("producer", set_as_current=False))

    def wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the worker ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{self.log()[-3000:]}"
            time.sleep(0.1)

    def log(self):
        return self.log_file.read_text(errors="replace")
