"""What being watched costs: a worker that counts, a collector and celery-exporter, against the worker without all that.

Worker and exporter are scraped, every 2 s where Prometheus does so every 15 s: the exporter asks all workers each time.
Tracing comes on top, with a span for every task, taken by a collector that shares the machine.
"""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from bench.scenarios.drain import watch
from bench.servers import ROOT, BenchError, Servers
from bench.setup import Setup, prepared, wait_until
from bench.variants import Blueprint, Variant
from bench.worker import ended, running, scraped
from tests.otlp import Collector
from tests.ports import free_port

EXPORTER = (str(ROOT / ".venv-exporter/bin/python"), str(ROOT / "deploy/images/exporter/entry.py"))


def measure(variant: Variant, servers: Servers, tasks: int) -> dict[str, float]:
    """Tasks a second, and milliseconds of the worker's CPU for each; what watches takes its share of the machine."""
    queued = max(int(tasks * variant.pace), 100)
    watched = isinstance(variant, Blueprint) and "metrics" not in variant.off
    with prepared(variant, servers) as setup:
        setup.fill(queued)
        done = setup.counter()
        with ExitStack() as stack:
            if watched:
                stack.enter_context(collecting(setup))
                stack.enter_context(exporting(setup))
            variables = {}
            if isinstance(variant, Blueprint) and variant.traced:
                variables["TRACING_URL"] = stack.enter_context(Collector()).url
            return watch(stack.enter_context(running(setup, 1, **variables)), done, queued)


@contextmanager
def collecting(setup: Setup) -> Iterator[None]:
    """Let a collector look at the queues. Raises BenchError when it does not see them."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    command = (setup.python, "-m", "celery_runtime", "collector")
    with _beside(setup, command, {**setup.environment, "HEALTH_PORT": str(port)}, url, b"celery_broker_up 1.0"):
        yield


@contextmanager
def exporting(setup: Setup) -> Iterator[None]:
    """Let celery-exporter follow the broker. Raises BenchError when it does not reach it."""
    port, servers = free_port(), setup.servers
    environment = {
        "PATH": setup.environment["PATH"],
        "BROKER": servers.broker,
        "REDIS_URL": servers.redis_url,
        "RABBITMQ_URL": servers.broker_url,
        "CE_RETRY_INTERVAL": "5",
    }
    command = (*EXPORTER, "--host=127.0.0.1", f"--port={port}")
    url = f"http://127.0.0.1:{port}"
    with _beside(setup, command, environment, f"{url}/health", b"Connected to the broker"), scraped(f"{url}/metrics"):
        yield


@contextmanager
def _beside(
    setup: Setup, command: tuple[str, ...], environment: dict[str, str], url: str, well: bytes
) -> Iterator[None]:
    """Run `command` until the end; `url` says `well` before the worker starts and after it ended."""
    log = setup.folder / "beside.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    with ended(process):
        wait_until(lambda: _says(url, well), lambda: process.poll() is None, f"{well.decode()!r} at {url}")
        yield
        if not _says(url, well):
            raise BenchError(f"{url} does not say {well.decode()!r} any more:\n{log.read_text()[-2000:]}")


def _says(url: str, well: bytes) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  on loopback
        return well in answer.read()
    return False
