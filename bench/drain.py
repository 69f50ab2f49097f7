"""How fast a worker empties a queue that was filled before it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from bench.servers import ROOT, BenchError

CONCURRENCY = 2
SKIPPED = 0.1  # of the tasks at both ends: the worker starts, and its last children wait
PATIENCE = 120  # seconds
# Stock Celery replaces no pool child: nor does the other here.
QUEUES = f"[queues.bench-blueprint]\nconcurrency = {CONCURRENCY}\ntime_limit = 60\nmax_tasks_per_child = 10000000\n"


@dataclass(frozen=True)
class Variant:
    """What is compared; `command` starts its worker, `variables` are added to the environment."""

    name: str
    command: tuple[str, ...]
    variables: dict[str, str]


STOCK = Variant(
    "stock",
    ("-m", "celery", "-A", "bench.tasks", "worker", f"--concurrency={CONCURRENCY}", "--loglevel=WARNING"),
    {},
)
PREFORK = Variant("blueprint", ("-m", "celery_runtime", "worker", "bench-blueprint"), {"LOG_LEVEL": "WARNING"})


@dataclass(frozen=True)
class Measured:
    """One run: tasks a second, and milliseconds of the worker's CPU for each."""

    rate: float
    cpu_ms: float


def measure(variant: Variant, broker_url: str, redis_url: str, tasks: int) -> Measured:
    """Fill the queue, let a worker of `variant` empty it; raises BenchError when it does not."""
    with Redis.from_url(redis_url) as redis, tempfile.TemporaryDirectory() as folder:
        redis.flushall()
        environment = _environment(variant, broker_url, redis_url, Path(folder))
        fill = [sys.executable, "-m", "bench.fill", str(tasks)]
        filled = subprocess.run(fill, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if filled.returncode:
            raise BenchError(f"{variant.name}: the queue was not filled:\n{filled.stderr[-2000:]}")
        log = Path(folder) / "log"
        with _worker(variant, environment, log) as worker:
            try:
                return _watch(worker, redis, tasks)
            except (BenchError, psutil.NoSuchProcess) as error:
                raise BenchError(f"{variant.name}: {error}\n{log.read_text()[-2000:]}") from None


def _environment(variant: Variant, broker_url: str, redis_url: str, folder: Path) -> dict[str, str]:
    """Of the stock app by the BENCH_ variables, of the runtime by its own."""
    on_redis = broker_url == redis_url
    (folder / "queues.toml").write_text(QUEUES)
    (folder / "redis").write_text(redis_url)
    (folder / "rabbitmq").write_text(broker_url)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "BENCH_VARIANT": variant.name,
        "BENCH_BROKER_URL": broker_url,
        "BENCH_REDIS_URL": redis_url,
        "CELERY_APP": "bench.tasks:app",
        "QUEUES_FILE": str(folder / "queues.toml"),
        "BROKER": "redis" if on_redis else "rabbitmq",
        "REDIS_URL_FILE": str(folder / "redis"),
        **({} if on_redis else {"RABBITMQ_URL_FILE": str(folder / "rabbitmq")}),
        **variant.variables,
    }


@contextmanager
def _worker(variant: Variant, environment: dict[str, str], log: Path) -> Iterator[psutil.Process]:
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *variant.command], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGQUIT)  # nothing is left that a warm stop would save
    _, alive = psutil.wait_procs([psutil.Process(process.pid)], timeout=10) if process.poll() is None else ([], [])
    for left in (*alive, *children):
        if left.is_running():
            left.kill()
    process.wait()


def _watch(worker: psutil.Process, redis: Redis, tasks: int) -> Measured:
    """Measure between the first and the last tenth; each task leaves one key, its result."""
    low, high = int(tasks * SKIPPED), int(tasks * (1 - SKIPPED))
    count, cpu, at = _until(worker, redis, low)
    end_count, end_cpu, end_at = _until(worker, redis, high)
    done = end_count - count
    return Measured(rate=done / (end_at - at), cpu_ms=(end_cpu - cpu) * 1000 / done)


def _until(worker: psutil.Process, redis: Redis, tasks: int) -> tuple[int, float, float]:
    deadline = time.monotonic() + PATIENCE
    while (count := int(redis.dbsize())) < tasks:
        if time.monotonic() > deadline or not worker.is_running():
            raise BenchError(f"{count} results after {PATIENCE} s.")
        time.sleep(0.01)
    return count, _cpu(worker), time.monotonic()


def _cpu(worker: Any) -> float:
    """Seconds of CPU of the worker and its pool, with the children that were replaced."""
    own = worker.cpu_times()
    pool = [child.cpu_times() for child in worker.children(recursive=True)]
    return float(own.children_user + own.children_system + sum(each.user + each.system for each in (own, *pool)))
