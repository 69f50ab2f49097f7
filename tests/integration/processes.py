"""The app as the processes that it is in production: API, workers, Beat, mailbox."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from celery_runtime.queues import load_queues
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "app/samples/photo.jpg"
FINAL = {"SUCCESS", "FAILURE", "REVOKED"}


class Service:
    """Starts and stops the app's processes and talks to them; each writes a log of its own into `logs`."""

    def __init__(self, environment, logs, python=sys.executable):
        self.environment = environment
        self.python = python
        self.logs = logs
        self.processes = {}
        self.health_ports = {}

    def start_all(self):
        self.run("migrate", [self.python, "-m", "app.migrate"])
        api, smtp, mail, ai = (free_port() for _ in range(4))
        self.environment |= {"API_PORT": str(api), "SMTP_PORT": str(smtp), "AI_BASE_URL": f"http://127.0.0.1:{ai}/v1"}
        self.start("mail", ["-m", "app.standins.mail"], MAIL_SMTP_PORT=smtp, MAIL_HTTP_PORT=mail, MAIL_HOST="127.0.0.1")
        self.start("ai", ["-m", "app.standins.ai"], AI_PORT=ai, AI_HOST="127.0.0.1")
        self.start("api", ["-m", "app.api"], API_HOST="127.0.0.1")
        for queue in load_queues(ROOT / "queues.toml"):
            self.start_worker(queue)
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{api}", timeout=60, trust_env=False)
        self.mail = httpx.Client(base_url=f"http://127.0.0.1:{mail}", timeout=10, trust_env=False)
        self.wait(lambda: answers(self.api), "the API to answer")
        self.wait(lambda: answers(self.mail), "the mailbox to answer")
        for name in list(self.health_ports):
            self.wait(lambda name=name: self.health(name, "ready"), f"{name} to be ready")

    def start_worker(self, queue, name=None, **variables):
        name = name or f"worker-{queue}"
        self.health_ports[name] = free_port()
        self.start(name, ["-m", "celery_runtime", "worker", queue], HEALTH_PORT=self.health_ports[name], **variables)

    def start_beat(self, name):
        self.health_ports[name] = free_port()
        self.start(name, ["-m", "celery_runtime", "beat"], HEALTH_PORT=self.health_ports[name])

    def start(self, name, arguments, **variables):
        log = (self.logs / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [self.python, *arguments],
            cwd=ROOT,
            env=self.environment | {key: str(value) for key, value in variables.items()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def run(self, name, command):
        """Run a command to its end; returns what it printed."""
        result = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{name}: {result.stdout}{result.stderr}"
        return result.stdout + result.stderr

    def health(self, name, what):
        """Whether the health command of this process says live or ready."""
        environment = self.environment | {"HEALTH_PORT": str(self.health_ports[name])}
        command = [self.python, "-m", "celery_runtime", "health", what]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 0

    def workers(self, *others):
        """The names of the running workers, and of `others`."""
        return [name for name in self.health_ports if name.startswith("worker-")] + list(others)

    def all_are(self, what, names):
        return all(self.health(name, what) for name in names)

    def none_is(self, what, names):
        return not any(self.health(name, what) for name in names)

    def stop(self, name, seconds=60):
        process = self.processes.pop(name)
        self.health_ports.pop(name, None)
        process.terminate()
        return process.wait(seconds)

    def stop_all(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        for client in (getattr(self, "api", None), getattr(self, "mail", None)):
            if client:
                client.close()

    def wait(self, condition, what, seconds=60, pause=0.1):
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [name for name, process in self.processes.items() if process.poll() not in (None, 0)]
            assert not dead, f"{dead[0]} ended:\n{self.log(dead[0])}"
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{self.tails()}"
            time.sleep(pause)

    def log(self, name):
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def tails(self):
        return "\n".join(f"--- {name}\n{self.log(name)[-1500:]}" for name in self.processes)

    def upload(self, picture, **form):
        """Send a picture (bytes or a path); returns the answer's JSON."""
        content = picture.read_bytes() if isinstance(picture, Path) else picture
        answer = self.api.post("/images", files={"file": ("picture", content)}, data=form)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def task(self, task_id):
        return self.api.get(f"/tasks/{task_id}").raise_for_status().json()

    def follow(self, task_id, seconds=60):
        """Return every different answer of /tasks/{id} until the task ended; the last one is final."""
        seen = []

        def ended():
            answer = self.task(task_id)
            if answer not in seen:
                seen.append(answer)
            return answer["state"] in FINAL

        self.wait(ended, f"task {task_id} to end", seconds)
        return seen

    def fault(self, name, **body):
        answer = self.api.post(f"/faults/{name}", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def ledger(self, batch):
        return self.api.get(f"/faults/ledger/{batch}").raise_for_status().json()


def answers(client):
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
