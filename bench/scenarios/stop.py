"""What a SIGTERM does to a busy worker: how long it takes to leave, and whether a task is run again or lost."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from bench.servers import BenchError, Servers
from bench.setup import Setup, prepared, wait_until
from bench.variants import Variant
from bench.worker import Workers, running

NAP = 0.1  # seconds of each task
TASKS, BEFORE = 80, 20  # in the queue, and ended when the signal comes
LIMIT = 60.0  # seconds for the worker to leave
QUIET = 10.0  # seconds without a start after which what is missing is lost


def measure(variant: Variant, servers: Servers, _tasks: int) -> dict[str, float]:
    """Seconds from SIGTERM to the end of the process, and how many tasks were started again and lost by it."""
    with prepared(variant, servers) as setup:
        setup.fill(TASKS, "nap", NAP)
        ledger = setup.folder / "ledger"
        with running(setup, BENCH_LEDGER=str(ledger)) as workers:
            wait_until(lambda: len(_starts(ledger)) > BEFORE, lambda: workers.alive, f"{BEFORE} results")
            seconds = _stop(workers)
        _finish(setup, ledger)
        starts = _starts(ledger)
        return {"seconds": seconds, "again": len(starts) - len(set(starts)), "lost": TASKS - len(set(starts))}


def _stop(workers: Workers) -> float:
    (process,) = workers.processes
    start = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        if time.perf_counter() - start > LIMIT:
            raise BenchError(f"the worker still ran {LIMIT:g} s after SIGTERM.")
        time.sleep(0.005)
    return time.perf_counter() - start


def _finish(setup: Setup, ledger: Path) -> None:
    """Let another worker do the rest."""
    with running(setup, BENCH_LEDGER=str(ledger)) as workers:
        seen, since = 0, time.monotonic()
        while len(set(_starts(ledger))) < TASKS and time.monotonic() < since + QUIET and workers.alive:
            if seen != (now := len(_starts(ledger))):
                seen, since = now, time.monotonic()
            time.sleep(0.05)


def _starts(ledger: Path) -> list[str]:
    return ledger.read_text().split() if ledger.exists() else []
