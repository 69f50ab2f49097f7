"""Failure on demand, with a ledger that counts: each task writes a row when it starts and one when it ends.

Tests kill workers and brokers under these tasks and then ask `GET /faults/ledger/{batch}` what was lost or doubled.
A task that still runs, or waits, counts as lost until it ends.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import insert

from app.celery import app
from app.db import engine
from app.models import FaultEvent, now
from app.tasks import DatabaseTask

HOG = 1536 * 1024 * 1024  # bytes: more than a worker of any queue may have (media: 1280 MiB)
HOG_STEP = 64 * 1024 * 1024


class FaultError(RuntimeError):
    """The failure that was asked for."""


@app.task(base=DatabaseTask)
def count(batch: str, n: int, seconds: float) -> None:
    """Do nothing but write the two rows."""
    with _recorded(batch, n):
        pass


@app.task(base=DatabaseTask)
def sleep(batch: str, n: int, seconds: float) -> None:
    """Wait `seconds`, as a task that waits on a database or a network does."""
    with _recorded(batch, n):
        time.sleep(seconds)


@app.task(base=DatabaseTask)
def fail(batch: str, n: int, seconds: float) -> None:
    """Raise after `seconds`; it has ended all the same, so that its row is there."""
    with _recorded(batch, n):
        time.sleep(seconds)
    raise FaultError(f"task {n} of batch {batch} fails because it was asked to")


@app.task(base=DatabaseTask)
def crash(batch: str, n: int, seconds: float) -> None:
    """Kill the own process after `seconds`, as the kernel does when memory runs out."""
    with _recorded(batch, n):
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(137)  # the kernel ignores what PID 1 of a container sends itself


@app.task(base=DatabaseTask)
def hog_memory(batch: str, n: int, seconds: float) -> None:
    """Take 1.5 GiB in steps of 64 MiB and hold it for `seconds`."""
    with _recorded(batch, n):
        held = [bytearray(HOG_STEP) for _ in range(HOG // HOG_STEP)]  # written with zeros, so really used
        time.sleep(seconds)
        del held


@contextmanager
def _recorded(batch: str, n: int) -> Iterator[None]:
    """Write the start before and the end after the block, also when the block fails, but not when it is cut off."""
    _record(batch, n, "start")
    try:
        yield
    except Exception:
        _record(batch, n, "end")
        raise
    _record(batch, n, "end")


def _record(batch: str, n: int, kind: str) -> None:
    row = {"batch": UUID(batch), "n": n, "kind": kind, "host": socket.gethostname(), "pid": os.getpid(), "at": now()}
    with engine().begin() as connection:
        connection.execute(insert(FaultEvent), row)
