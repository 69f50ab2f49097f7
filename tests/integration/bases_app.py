"""A Celery app of tests: a task for each base, which write what they do into Redis, and an outbox."""

from __future__ import annotations

import json
import os
import time
from functools import cache, partial
from pathlib import Path

from celery import Celery
from sqlalchemy import MetaData, create_engine, make_url
from sqlalchemy.orm import sessionmaker

from celery_runtime import install
from celery_runtime.outbox import Outbox, outbox_table
from celery_runtime.tasks.effect import effect_table, once
from celery_runtime.tasks.locked import LockedTask
from celery_runtime.tasks.retry import RetryingTask
from celery_runtime.tasks.signals import task_gave_up

app = install(Celery("bases"))
app.task = partial(app.task, shared=False)
metadata = MetaData()
outbox_table(metadata)
effect_table(metadata)


@cache
def engine():
    password = Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text()
    return create_engine(make_url(os.environ["BASES_DATABASE_URL"]).set(password=password))


def transaction():
    return sessionmaker(engine()).begin()


outbox = Outbox(app, transaction)


def note(key, **facts):
    app.backend.client.rpush(f"notes:{key}", json.dumps(facts))


def notes(key):
    return [json.loads(line) for line in app.backend.client.lrange(f"notes:{key}", 0, -1)]


@task_gave_up.connect
def alert(task_id, name, attempt, exception, fallback, **_):
    note(task_id, name=name, attempt=attempt, exception=repr(exception), fallback=fallback)


class BusyError(Exception):
    def __init__(self, retry_after):
        super().__init__(f"busy for {retry_after} s")
        self.retry_after = retry_after


@app.task(bind=True, base=RetryingTask, max_retries=2, retry_backoff_max=1)
def flaky(self, key, failures):
    note(key, attempt=self.request.retries + 1)
    if self.request.retries < failures:
        raise ConnectionError("away")
    return "done"


@app.task(bind=True, base=RetryingTask, autoretry_for=(BusyError,), max_retries=1, retry_backoff_max=60)
def told_to_wait(self, key, seconds):
    note(key, at=time.time())
    if not self.request.retries:
        raise BusyError(seconds)


class WithFallback(RetryingTask):
    def fallback(self, error, key):
        return f"the next best thing to {key}"


@app.task(base=WithFallback, max_retries=1, retry_backoff_max=1)
def falls_back(key):
    raise ConnectionError("away")


def hold(task, key, seconds):
    note(key, what="start", id=task.request.id, token=task.fencing_token)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        task.check_lock()
    note(key, what="end", id=task.request.id, token=task.fencing_token)
    return task.fencing_token


LOCK = {"bind": True, "base": LockedTask, "lock_ttl": 3, "lock_delay": 0.5, "lock_on": ("key",)}


@app.task(**LOCK)
def waits(self, key, seconds):
    return hold(self, key, seconds)


@app.task(**LOCK, name="bases.skips", when_locked="skip")
def skips(self, key, seconds):
    return hold(self, key, seconds)


@app.task(**LOCK, name="bases.fails", when_locked="fail")
def fails(self, key, seconds):
    return hold(self, key, seconds)


@app.task(**LOCK)
def robbed(self, key):
    app.backend.client.set(self.lock_key(key), "another 1", px=60_000)
    return "done"


@app.task
def charge(key, seconds):
    note(key, what="delivered")
    with transaction() as session:
        if once(session, f"charge {key}"):
            time.sleep(seconds)
            note(key, what="charged")
    note(key, what="done")


@app.task
def large(kib):
    return "x" * 1024 * kib


@app.task
def take(value):
    return len(value)


@app.task(bind=True)
def run(self, key):
    note(key, id=self.request.id)


@app.task
def publish_later(key, seconds):
    note(key, what="begun")
    time.sleep(seconds)
    run.delay(f"{key}-inner")
