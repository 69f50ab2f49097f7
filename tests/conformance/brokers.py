"""Throw-away servers for one run of kombu's or Celery's tests.

They are the servers of the Compose stack with its configuration, except for their users: the published tests log in as
Redis' default user without a password, and as guest on RabbitMQ. They listen on the loopback interface only.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker
import psutil

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "deploy/compose/config"
LABEL = "celery-blueprint.conformance"
OPEN_REDIS = "user default on nopass ~* &* +@all\n"
OPEN_RABBITMQ = "default_user = guest\ndefault_pass = guest\ndefault_vhost = /\n"
# The broker's image is what `make up` uses on this machine: an official one, or one built from packages.
FIND_IMAGE = """
BROKER=rabbitmq && . deploy/compose/stack.sh
for source in registry offline; do
  image=$(compose $source config --images "$1")
  if docker image inspect "$image" >/dev/null 2>&1; then echo "$image"; exit; fi
done
exit 1
"""


@contextmanager
def serving(broker: str) -> Iterator[dict[str, int]]:
    """Start Redis, which holds the results in any case, and `broker`; yields the port of each on 127.0.0.1."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        ports = {"redis": servers.enter_context(_redis(Path(folder)))}
        if broker == "rabbitmq":
            ports["rabbitmq"] = servers.enter_context(_rabbitmq(Path(folder)))
        yield ports


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    users = _readable(folder / "redis_users", OPEN_REDIS)
    files = {CONFIG / "redis.conf": "/etc/redis/redis.conf", users: "/run/secrets/redis_users"}
    with _container("redis", 6379, files, ["redis-server", "/etc/redis/redis.conf"]) as (container, port):
        _until(lambda: b"PONG" in container.exec_run(["redis-cli", "ping"]).output, "Redis")
        yield port


@contextmanager
def _rabbitmq(folder: Path) -> Iterator[int]:
    user = _readable(folder / "rabbitmq.conf", OPEN_RABBITMQ)
    files = {
        CONFIG / "rabbitmq.conf": "/etc/rabbitmq/rabbitmq.conf",
        CONFIG / "rabbitmq-plugins": "/etc/rabbitmq/enabled_plugins",
        user: "/etc/rabbitmq/conf.d/20-password.conf",
    }
    with _container("rabbitmq", 5672, files) as (container, port):
        ready = ["rabbitmq-diagnostics", "-q", "check_port_connectivity"]
        _until(lambda: container.exec_run(ready).exit_code == 0, "RabbitMQ")
        yield port


@contextmanager
def _container(
    service: str, port: int, files: dict[Path, str], command: list[str] | None = None
) -> Iterator[tuple[Any, int]]:
    client = docker.from_env()
    try:
        container = client.containers.run(
            _image(service),
            command,
            detach=True,
            labels={LABEL: str(os.getpid())},
            ports={f"{port}/tcp": ("127.0.0.1", None)},
            user=service,
            volumes={str(host): {"bind": inside, "mode": "ro"} for host, inside in files.items()},
        )
        try:
            container.reload()
            yield container, int(container.ports[f"{port}/tcp"][0]["HostPort"])
        finally:
            container.remove(force=True, v=True)
    finally:
        client.close()


def remove_leftovers() -> None:
    """Remove the containers of runs that were killed before they could."""
    client = docker.from_env()
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        if not psutil.pid_exists(int(container.labels[LABEL])):
            container.remove(force=True, v=True)
    client.close()


def _image(service: str) -> str:
    command = ["bash", "-euc", FIND_IMAGE, "find", service]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        subprocess.run([ROOT / "tests/images.sh"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.strip()


def _readable(file: Path, text: str) -> Path:
    file.write_text(text)
    file.chmod(0o644)  # the servers read as users of their own
    file.parent.chmod(0o755)
    return file


def _until(ready: Callable[[], bool], server: str, seconds: int = 120) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{server} did not answer within {seconds} s")
        time.sleep(0.2)
