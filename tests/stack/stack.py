"""A Compose project as its user sees it: three scripts, published ports, `docker inspect`."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
PORTS = (
    "API_PORT",
    "FLOWER_PORT",
    "PROMETHEUS_PORT",
    "ALERTMANAGER_PORT",
    "GRAFANA_PORT",
    "MAIL_PORT",
    "RABBITMQ_PORT",
)


def wait_for(what: str, look: Callable[[], Any], timeout: float = 60.0) -> Any:
    """Look until there is something to see; fails, naming what did not come, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what} did not come within {timeout:g} s"
        time.sleep(0.1)
    return seen


class Stack:
    """The project that an environment describes; it need not be up."""

    def __init__(self, environ: Mapping[str, str], root: Path = ROOT) -> None:
        self.environ = dict(environ)
        self.project = self.environ["PROJECT"]
        self.broker = self.environ.get("BROKER", "redis")
        self.scripts = root / "deploy" / "compose"
        self.api = httpx.Client(base_url=self.url("API_PORT"), timeout=30, trust_env=False)

    def connect(self) -> None:
        """A new client of the API: connections do not survive its container."""
        self.api.close()
        self.api = httpx.Client(base_url=self.url("API_PORT"), timeout=30, trust_env=False)

    def url(self, variable: str) -> str:
        return f"http://127.0.0.1:{self.environ[variable]}"

    # The verbs.

    def up(self) -> subprocess.CompletedProcess[str]:
        return self._script("up.sh")

    def down(self) -> subprocess.CompletedProcess[str]:
        self.api.close()
        return self._script("down.sh")

    def remove(self) -> None:
        """Removes the project with its volumes. Not `clean.sh`: that removes the images too."""
        self.api.close()
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def _script(self, name: str) -> subprocess.CompletedProcess[str]:
        return run([str(self.scripts / name)], env=self.environ, timeout=600)

    def compose(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run(["docker", "compose", "--project-name", self.project, *arguments], env=self.environ, **options)

    # What Docker knows.

    def containers(self) -> dict[str, dict[str, Any]]:
        """`docker inspect` of each container, by service."""
        ids = self._labelled("ps", "--all")
        inspected = json.loads(run(["docker", "inspect", *ids]).stdout) if ids else []
        return {c["Config"]["Labels"]["com.docker.compose.service"]: c for c in inspected}

    def networks(self) -> list[str]:
        return self._labelled("network", "ls")

    def volumes(self) -> list[str]:
        return self._labelled("volume", "ls")

    def _labelled(self, *command: str) -> list[str]:
        label = f"label=com.docker.compose.project={self.project}"
        return run(["docker", *command, "--quiet", "--filter", label]).stdout.split()

    # What the services say.

    def secret(self, name: str) -> str:
        return (Path(self.environ["SECRETS_DIR"]) / name).read_text().strip()

    def mails(self, to: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url('MAIL_PORT')}/api/messages", params={"to": to}, trust_env=False)
        return answer.raise_for_status().json()

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The series that Prometheus finds now."""
        url = self.url("PROMETHEUS_PORT") + "/api/v1/query"
        answer = httpx.get(url, params={"query": promql}, trust_env=False).raise_for_status()
        return answer.json()["data"]["result"]

    def rows(self, query: str) -> str:
        """What the database answers, without headings."""
        command = ("exec", "-T", "postgres", "psql", "-U", "app", "-d", "app", "-At", "-c", query)
        result = self.compose(*command)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def upload(self, data: bytes, name: str = "picture", user_id: object = None) -> httpx.Response:
        form = {"user_id": str(user_id)} if user_id else {}
        return self.api.post("/images", files={"file": (name, data)}, data=form)

    def follow(self, task: str, timeout: float = 60.0) -> list[dict[str, Any]]:
        """Every answer of /tasks/{id} that differs from the one before, up to the last."""
        return list(self._follow(task, time.monotonic() + timeout))

    def _follow(self, task: str, deadline: float) -> Iterator[dict[str, Any]]:
        last: dict[str, Any] = {}
        while last.get("state") not in ("SUCCESS", "FAILURE", "REVOKED"):
            assert time.monotonic() < deadline, f"{task} still says {last}"
            status = self.api.get(task).raise_for_status().json()
            if status != last:
                yield status
            last = status
            time.sleep(0.01)


def run(command: list[str], timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command with its output as text; it reads nothing from the terminal."""
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=timeout, **options
    )
