"""A Redis and a RabbitMQ for the benchmark, in containers that nobody else uses; gone afterwards."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.images import image_names
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
START = 90  # seconds


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


@dataclass(frozen=True)
class Servers:
    """Where the messages go, and the Redis that has the results."""

    broker: str
    broker_url: str
    redis_url: str

    @property
    def draft_url(self) -> str:
        """Another database of that Redis, where no worker looks."""
        return f"{self.redis_url.removesuffix('/0')}/1"


@contextmanager
def serve(brokers: list[str]) -> Iterator[dict[str, Servers]]:
    """Start what `brokers` need, all at once, so that their measurements can take turns."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(redis())
        urls = {"redis": redis_url}
        if "rabbitmq" in brokers:
            urls["rabbitmq"] = stack.enter_context(rabbitmq())
        yield {broker: Servers(broker, urls[broker], redis_url) for broker in brokers}


@contextmanager
def redis() -> Iterator[str]:
    """The URL of an empty Redis that writes like the stack's: every second to disk."""
    password = secrets.token_hex(16)
    port = free_port()
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
    run = ["docker", "run", "--detach", "--rm", "--label", "celery-blueprint.bench", *options]
    started = subprocess.run([*run, image_names()[service], *command], capture_output=True, text=True, check=False)
    if started.returncode:
        raise BenchError(f"{service} did not start: {started.stderr.strip()}")
    name = started.stdout.strip()
    try:
        yield name
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


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
