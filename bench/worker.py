"""Workers under measurement: started, scraped, their CPU and memory read, and ended with all their children."""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from bench.servers import ROOT, BenchError
from bench.setup import PATIENCE, Setup
from bench.variants import Blueprint, Peer, Stock
from tests.ports import free_port

SCRAPE_EVERY = 2.0  # seconds
CALM = 0.05  # of one core: so little does a worker use that has nothing to do
LOOK = 0.5  # seconds over which that is looked at
T = TypeVar("T")


class Workers:
    """One worker, or several alike; each is a process with children."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
        self.processes, self.log = processes, log

    @property
    def alive(self) -> bool:
        return all(process.poll() is None for process in self.processes)

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far, with the children that were replaced."""
        return sum(_cpu(each) for process in self.processes for each in _tree(process.pid))

    @property
    def pss(self) -> float:
        """MB of memory now; what processes share is counted once."""
        return sum(_pss(each) for process in self.processes for each in _tree(process.pid)) / 1e6

    def settle(self) -> None:
        """Return when a worker has nothing to do. Raises BenchError."""
        deadline = time.monotonic() + PATIENCE
        before = self.cpu
        while time.monotonic() < deadline and self.alive:
            time.sleep(LOOK)
            now = self.cpu
            if now - before < CALM * LOOK:
                return
            before = now
        raise BenchError(f"the worker did not come to rest within {PATIENCE} s.")


@contextmanager
def running(setup: Setup, count: int = 1, **variables: str) -> Iterator[Workers]:
    """Start `count` workers of the variant; what they log is in the BenchError that goes through here."""
    log = setup.folder / "log"
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab"))
        processes: list[subprocess.Popen[bytes]] = []
        for number in range(count):
            port = 0 if number else free_port()  # among many workers a free port does not stay free
            own = {"HEALTH_PORT": str(port), "NODE_NAME": f"bench-{number}"}
            environment = {**setup.environment, **own, **variables}
            command = [setup.python, *_command(setup, number)]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
            processes.append(process)
            stack.callback(_end, process)
            if port and isinstance(setup.variant, Blueprint) and "metrics" not in setup.variant.off:
                stack.enter_context(scraped(f"http://127.0.0.1:{port}/metrics"))
        workers = Workers(processes, log)
        try:
            yield workers
        except (BenchError, psutil.NoSuchProcess) as error:
            raise BenchError(f"{setup.variant.name}: {error}\n{log.read_text()[-2000:]}") from None


def _command(setup: Setup, number: int) -> tuple[str, ...]:
    variant = setup.variant
    if isinstance(variant, Peer):
        return tuple(part.format(redis_url=setup.servers.redis_url) for part in variant.command)
    if isinstance(variant, Blueprint) and len(setup.queues) == 1:
        return ("-m", "celery_runtime", "worker", setup.queues[0])
    events = ("-E",) if isinstance(variant, Stock) and variant.events else ()
    options = (f"--concurrency={setup.concurrency}", f"--hostname=bench-{number}@%h", "--loglevel=WARNING")
    return ("-m", "celery", "-A", "bench.tasks", "worker", f"--queues={','.join(setup.queues)}", *options, *events)


@contextmanager
def scraped(url: str) -> Iterator[None]:
    """Ask for the metrics every few seconds, as Prometheus does. Raises BenchError when they never come."""
    over, answers = threading.Event(), [0]

    def scrape() -> None:
        pause = 0.1  # until it listens
        while not over.wait(pause):
            with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  on loopback
                answers[0] += b"celery" in answer.read()
                pause = SCRAPE_EVERY

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
        if not answers[0]:
            raise BenchError(f"{url} was never answered.")
    finally:
        over.set()
        thread.join()


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End `process` and its children afterwards."""
    try:
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and its children: nothing is left that a warm stop would save."""
    with suppress(psutil.NoSuchProcess):
        for each in _tree(process.pid):
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


def _tree(pid: int) -> list[Any]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu(process: Any) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _pss(process: Any) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0
