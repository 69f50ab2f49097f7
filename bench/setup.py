"""A clean queue, and the environment of the processes that fill and empty it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kombu import Connection
from redis import Redis

from bench.servers import ROOT, BenchError, Servers
from bench.variants import PEERS_PYTHON, TRACING, Blueprint, Peer, Stock, Variant

PATIENCE = 120  # seconds without an end of what is waited for
# Stock Celery replaces no pool child and limits no argument: nor does the blueprint here.
QUEUE = (
    '[queues.{name}]\npool = "{pool}"\nconcurrency = {concurrency}\ntime_limit = 60\nmax_tasks_per_child = 10000000\n'
)
MAX_ARGUMENTS_KIB = "1024"


@dataclass(frozen=True)
class Setup:
    """One measurement of `variant`: nothing is in its queues, and nothing but its results will be in Redis."""

    variant: Variant
    servers: Servers
    redis: Redis
    folder: Path
    queues: tuple[str, ...]
    concurrency: int

    @property
    def environment(self) -> dict[str, str]:
        """Of every process here: of the stock app by the BENCH_ variables, of the runtime by its own."""
        variant = self.variant
        events = isinstance(variant, Stock | Blueprint) and variant.events
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "BENCH_APP": "blueprint" if isinstance(variant, Blueprint) else "stock",
            "BENCH_SAFE": "1" if isinstance(variant, Stock) and variant.safe else "",
            "BENCH_EVENTS": "1" if events else "",
            "BENCH_BROKER_URL": self.servers.broker_url,
            "BENCH_REDIS_URL": self.servers.redis_url,
            "BENCH_QUEUES": ",".join(self.queues),
            **(self._of_the_runtime(variant) if isinstance(variant, Blueprint) else {}),
        }

    def _of_the_runtime(self, variant: Blueprint) -> dict[str, str]:
        return {
            "CELERY_APP": "bench.tasks:app",
            "QUEUES_FILE": str(self.folder / "queues.toml"),
            "BROKER": self.servers.broker,
            "REDIS_URL_FILE": str(self.folder / "redis"),
            **({"RABBITMQ_URL_FILE": str(self.folder / "rabbitmq")} if self.servers.broker == "rabbitmq" else {}),
            "RUNTIME_OFF": variant.off,
            "LOG_LEVEL": "WARNING",
            "MAX_ARGUMENTS_KIB": MAX_ARGUMENTS_KIB,
            **({"PYTHONPATH": ":".join(map(str, TRACING.glob("*/site-packages")))} if variant.traced else {}),
        }

    @property
    def python(self) -> str:
        return str(PEERS_PYTHON) if isinstance(self.variant, Peer) else sys.executable

    def run(self, *arguments: str, **variables: str) -> str:
        """Run a module of this package beside the worker; returns what it prints. Raises BenchError."""
        command, environment = [self.python, "-m", *arguments], {**self.environment, **variables}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{self.variant.name}: {arguments[0]} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def fill(self, tasks: int, task: str = "noop", size: float = 0) -> None:
        """Put tasks into the queues: no-ops with `size` bytes of argument, or naps of `size` seconds."""
        if isinstance(self.variant, Peer):
            self.run("bench.peers", self.variant.name, str(tasks))
        elif self.servers.broker == "redis":
            urls = {"BENCH_BROKER_URL": self.servers.draft_url, "REDIS_URL_FILE": str(self.folder / "draft")}
            target = {"BENCH_TARGET_URL": self.servers.redis_url}
            self.run("bench.fill", task, str(tasks), str(size), **urls, **target)
        else:
            self.run("bench.fill", task, str(tasks), str(size))

    def counter(self) -> Callable[[], int]:
        """Returns how many tasks have ended since now."""
        before = self.variant.count(self.redis)
        return lambda: self.variant.count(self.redis) - before


@contextmanager
def prepared(variant: Variant, servers: Servers, concurrency: int = 2, queues: int = 1) -> Iterator[Setup]:
    """Empty the servers and write the files that the processes of `variant` need."""
    # RabbitMQ refuses one name with two sets of arguments, so each variant has names of its own.
    names = tuple(f"bench-{variant.name}" + (f"-{n}" if n else "") for n in range(queues))
    with Redis.from_url(servers.redis_url) as redis, tempfile.TemporaryDirectory(prefix="bench-") as place:
        redis.flushall()
        if servers.broker == "rabbitmq":
            _delete(servers.broker_url, names)
        folder = Path(place)
        pool = variant.pool if isinstance(variant, Blueprint) else "prefork"
        blocks = (QUEUE.format(name=name, pool=pool, concurrency=concurrency) for name in names)
        (folder / "queues.toml").write_text("\n".join(blocks))
        (folder / "redis").write_text(servers.redis_url)
        (folder / "draft").write_text(servers.draft_url)
        (folder / "rabbitmq").write_text(servers.broker_url)
        yield Setup(variant, servers, redis, folder, names, concurrency)


def _delete(url: str, queues: tuple[str, ...]) -> None:
    with Connection(url) as connection, connection.channel() as channel:
        for queue in queues:
            channel.queue_delete(queue)


def wait_until(condition: Callable[[], bool], alive: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Look every 10 ms; raises BenchError when the worker ends or `patience` seconds are over."""
    deadline = time.monotonic() + patience
    while not condition():
        if not alive():
            raise BenchError(f"the worker ended before {what}.")
        if time.monotonic() > deadline:
            raise BenchError(f"after {patience:g} s there were still not {what}.")
        time.sleep(0.01)
