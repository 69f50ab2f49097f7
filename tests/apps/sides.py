"""An example on a broker of its own, under plain Celery or under the runtime: its workers and its publishers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-examples/bin/python"
STOP = 90  # seconds


@dataclass(frozen=True)
class Place:
    """Where an app's broker and its Redis are. Its URLs hold no password; `secret` is the file that does."""

    broker: str
    redis: str
    secret: Path
    rabbitmq: str | None = None
    database: str | None = None  # of PostgreSQL, as its port and its name

    def url(self, which):
        """One of the URLs with its password, for apps that take it so."""
        return which.replace("celery@", f"celery:{self.secret.read_text()}@")

    @property
    def for_the_app(self):
        if not self.database:
            return {}
        port, _, name = self.database.partition("/")
        login = {"POSTGRES": "on", "POSTGRES_PASSWORD_FILE": str(self.secret)}
        return login | {"PGPORT": port, "POSTGRES_DB": name}

    @property
    def for_the_runtime(self):
        variables = {"BROKER": self.broker, "REDIS_URL": self.redis, "REDIS_PASSWORD_FILE": str(self.secret)}
        if self.rabbitmq:
            variables |= {"RABBITMQ_URL": self.rabbitmq, "RABBITMQ_PASSWORD_FILE": str(self.secret)}
        return variables


class Side:
    """Under plain Celery, or the runtime. Everything that its processes hear is in `heard`.

    hear: the signals that they write down.
    python: of an environment that has the runtime installed; by default that of the examples, and the tree's runtime.
    """

    def __init__(self, subject, place, folder, *, runtime, hear="task_prerun task_postrun", python=PYTHON, **variables):
        folder.mkdir(exist_ok=True)
        self.subject, self.place, self.folder, self.runtime = subject, place, folder, runtime
        self.python = python
        self.workers = {}
        self.heard_file = folder / "heard"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, [HERE / "listener", *([ROOT] if python == PYTHON else [])])),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HEAR": hear,
            "HEARD": str(self.heard_file),
            "APP": subject.app,
            "WORKERS": str(len(subject.queues)),
            "TASKS": json.dumps(subject.tasks),
            **subject.variables(folder),
            **place.for_the_app,
            **(self._under_the_runtime() if runtime else self._under_celery()),
            **variables,
        }

    def _under_celery(self):
        own = {self.subject.broker: self.place.url(self.place.rabbitmq or self.place.redis)}
        return own | ({self.subject.results: self.place.url(self.place.redis)} if self.subject.results else {})

    def _under_the_runtime(self):
        queues = {"CELERY_APP": self.subject.app, "QUEUES_FILE": str(self.subject.folder / "queues.toml")}
        return self.place.for_the_runtime | queues | {"RUNTIME": "1", "VISIBILITY_TIMEOUT": "8", "HEALTH_PORT": "0"}

    def set_up(self):
        """Make the database of an app that has one."""
        if self.subject.name == "django":
            self.run(self.python, "manage.py", "migrate", "--verbosity=0")

    def start_worker(self, queue, name):
        port = free_port()
        if self.runtime:
            command = [self.python, "-m", "celery_runtime", "worker", queue]
        else:
            options = ("-Q", queue, "-n", f"{name}@%h", "-c", "2", "--loglevel=INFO", "--without-mingle")
            command = [self.python, "-m", "celery", "-A", self.subject.app, "worker", *options]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                list(map(str, command)),
                cwd=self.subject.folder,
                env=self.environment | {"NODE_NAME": name, "HEALTH_PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait(lambda: self._is_ready(name, port), f"the worker {name} to be ready")

    def _is_ready(self, name, port):
        if not self.runtime:
            return " ready." in self.log(name)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return True
        except OSError:
            return False

    def stop_worker(self, name):
        """Stop it as a platform does; returns its exit code."""
        process = self.workers.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(STOP)

    def kill_worker(self, name):
        """Kill all of its processes at once, as when a node is lost."""
        process = self.workers.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def publishing(self, count, seconds):
        """Start to publish; returns the process. What was accepted is in `accepted`."""
        with (self.folder / "accepted").open("ab") as file, (self.folder / "publisher.log").open("ab") as log:
            command = [self.python, HERE / "scenario.py", "publish", str(count), str(seconds)]
            return subprocess.Popen(command, cwd=self.subject.folder, env=self.environment, stdout=file, stderr=log)

    def publish(self, count, seconds):
        assert self.publishing(count, seconds).wait(120) == 0, (self.folder / "publisher.log").read_text()

    def ask(self, *questions):
        return json.loads(self.run(self.python, HERE / "scenario.py", "ask", *questions))

    def run(self, *command):
        done = subprocess.run(
            command,
            cwd=self.subject.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stderr[-4000:]}\n{self.tails()}"
        return done.stdout

    def accepted(self):
        """The ids that a publisher printed: the broker had answered."""
        return set((self.folder / "accepted").read_text().split())

    def heard(self):
        """Signal, task, id and process of every line."""
        return list(map(json.loads, self.heard_file.read_text().splitlines())) if self.heard_file.exists() else []

    def close(self):
        for process in self.workers.values():
            process.terminate()
        for process in self.workers.values():
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.workers.clear()

    def wait(self, condition, what, seconds=90):
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [name for name, process in self.workers.items() if process.poll() is not None]
            assert not dead, f"{dead[0]} ended:\n{self.log(dead[0])[-4000:]}"
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{self.tails()}"
            time.sleep(0.1)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def tails(self):
        return "\n".join(f"--- {name}\n{self.log(name)[-3000:]}" for name in self.workers)
