"""A Redis and a RabbitMQ for one benchmark, in containers that nobody else uses; gone afterwards."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

ROOT = Path(__file__).parents[1]
START = 90  # seconds


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


@contextmanager
def redis() -> Iterator[str]:
    """The URL of an empty Redis that writes like the stack's: every second to disk."""
    password = secrets.token_hex(16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    options = ["--bind", "127.0.0.1", "--port", str(port), "--requirepass", password, "--appendonly", "yes"]
    # The host's own network: the proxy of a published port would be measured as well.
    with _container("redis", ["--network", "host", "--user", "redis"], ["redis-server", *options]):
        with Redis.from_url(url) as client:
            _wait(lambda: _answers(client), "Redis")
        yield url


@contextmanager
def rabbitmq() -> Iterator[str]:
    """The URL of an empty RabbitMQ with the stack's settings."""
    password = secrets.token_hex(16)
    config = ROOT / "deploy/compose/config"
    files = {"rabbitmq.conf": "/etc/rabbitmq/rabbitmq.conf", "rabbitmq-plugins": "/etc/rabbitmq/enabled_plugins"}
    mounts = [part for name, inside in files.items() for part in ("--volume", f"{config / name}:{inside}:ro")]
    with _container("rabbitmq", [*mounts, "--user", "rabbitmq"], []) as name:

        def control(*command: str) -> bool:
            return subprocess.run(["docker", "exec", name, *command], capture_output=True, check=False).returncode == 0

        _wait(lambda: control("rabbitmq-diagnostics", "-q", "check_port_connectivity"), "RabbitMQ")
        _wait(lambda: control("rabbitmqctl", "-q", "change_password", "celery", password), "its user celery")
        address = _inspect(name, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
        yield f"amqp://celery:{password}@{address}:5672/celery"


@contextmanager
def _container(service: str, options: list[str], command: list[str]) -> Iterator[str]:
    started = subprocess.run(
        ["docker", "run", "--detach", "--rm", "--label", "celery-blueprint.bench", *options, _image(service), *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if started.returncode:
        raise BenchError(f"{service} did not start: {started.stderr.strip()}")
    name = started.stdout.strip()
    try:
        yield name
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def _image(service: str) -> str:
    """The image that `make up` uses on this machine."""
    source = subprocess.run([ROOT / "tests/images.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    script = f"BROKER=rabbitmq && . deploy/compose/stack.sh && compose {source} config --format json"
    shown = subprocess.run(["bash", "-euc", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return str(json.loads(shown)["services"][service]["image"])


def _inspect(name: str, template: str) -> str:
    command = ["docker", "inspect", "--format", template, name]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"{what} was not ready within {START} s.")
        time.sleep(0.2)
