"""A Celery app that knows nothing of the runtime: `CELERY_APP=anyapp:app`."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from celery import Celery
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.signals import worker_init

app = Celery("anyapp")
app.conf.worker_send_task_events = "EVENTS" in os.environ
if "SCHEDULE" in os.environ:
    entry = {"task": "anyapp.add", "args": [1, 2], "schedule": float(os.environ["SCHEDULE"])}
    app.conf.update(beat_schedule={"often": entry}, redbeat_key_prefix="anyapp:")


@worker_init.connect
def beat_faster(**_):
    """A heartbeat that a short test can miss."""
    if "HEARTBEAT" in os.environ:
        app.conf.broker_heartbeat = int(os.environ["HEARTBEAT"])


@app.task
def add(a, b):
    return a + b


@app.task
def sleep(seconds):
    time.sleep(seconds)


@app.task
def note(path, seconds=0):
    """Append a line with the process' id to `path`, then wait."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)


@app.task
def stubborn():
    """Ignore the soft time limit."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(0.1)


@app.task
def fail():
    raise ValueError("as asked")


@app.task(bind=True, max_retries=1)
def retry(self):
    raise self.retry(countdown=0)


@app.task
def reject():
    raise Reject("as asked", requeue=False)


@app.task
def ignore():
    raise Ignore


@app.task(max_retries=0)
def crash():
    os.kill(os.getpid(), signal.SIGKILL)
