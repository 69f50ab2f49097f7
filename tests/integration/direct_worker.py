"""A worker with the direct pool, its tasks, and the ledger that they write."""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from celery.canvas import Signature

from celery_runtime.dead_letters.boxes import box_of
from tests.integration.runtime_worker import RuntimeWorker

QUEUES = "[queues.anyapp]\npool = 'direct'\nconcurrency = 2\ntime_limit = 60\n{}\n"


def started(environment, ledger, more="", folder=None, **variables):
    folder = folder or ledger.parent
    variables = {"CELERY_APP": "directapp:app", "LEDGER": ledger, "VISIBILITY_TIMEOUT": 5} | variables
    return RuntimeWorker(folder, environment, QUEUES.format(more), **variables)


@contextmanager
def producing(worker):
    """The app as what sends tasks to `worker` has it."""
    with pytest.MonkeyPatch.context() as patch:
        app = worker.producer(patch)
        yield app
        app.close()


def task(producer, name, *args, **options):
    return Signature(f"directapp.{name}", args=args, app=producer, options=options)


def run(producer, name, *args, **options):
    return task(producer, name, *args, **options).apply_async().get(timeout=30)


def lines(ledger):
    return [line.split() for line in ledger.read_text().splitlines()] if ledger.exists() else []


def runs(ledger, task_id):
    return Counter(what for what, which, _ in lines(ledger) if which == task_id)


def parked(producer):
    """The ids of the tasks whose messages are dead letters."""
    with producer.connection_for_read() as connection, box_of(connection, "anyapp") as box:
        return {letter.task_id for letter in box.letters()}


def pids(worker):
    return {child.pid for child in psutil.Process(worker.process.pid).children()}


def kill_child_with_the_victim(worker, producer, ledger):
    """Kill the child of `worker` that stops at its step STOP_AT. Returns its task, which ended after all."""
    hit = task(producer, "victim").apply_async()
    marker = Path(f"{ledger}.stopped")
    worker.wait(lambda: marker.exists() and marker.read_text(), "the child to reach that step")
    os.kill(int(marker.read_text()), signal.SIGKILL)
    assert hit.get(timeout=30) == "done"
    return hit


def kill_children_under_load(worker, producer, ledger):
    """Kill the children of `worker` ten times while they run 200 tasks. Returns these, and the number of kills."""
    tasks, kills = [], 0
    for _ in range(10):
        wanted = len(lines(ledger)) + 10
        tasks += [task(producer, "sleep", 0.02).apply_async() for _ in range(20)]
        worker.wait(lambda wanted=wanted: len(lines(ledger)) > wanted, "tasks to run")
        for pid in pids(worker):
            with suppress(ProcessLookupError):  # of a round before, and its parent just buries it
                os.kill(pid, signal.SIGKILL)
                kills += 1
    assert len([each.get(timeout=60) for each in tasks]) == 200
    return tasks, kills
