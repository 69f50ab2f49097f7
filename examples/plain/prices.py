"""Compare prices: a Celery app of one file, with a loader, settings, routes, signals, tasks and requests of its own."""

import json
import os
import time
from pathlib import Path

from celery import Celery, Task, signals
from celery.loaders.app import AppLoader
from celery.worker.request import Request

AUDIT = os.environ.get("PRICES_AUDIT")  # a file; who did what, a line each


def audit(who: str, what: str) -> None:
    if AUDIT:
        with Path(AUDIT).open("a") as file:
            file.write(json.dumps([who, what]) + "\n")


def route(name, args, kwargs, options, task=None, **_):
    """What asks a shop waits in a queue of its own, so that reckoning never waits behind it."""
    return {"queue": "shops"} if name.startswith("prices.ask") else {"queue": "default"}


class Settings:
    broker_url = os.environ.get("PRICES_BROKER", "redis://127.0.0.1:6379/0")
    result_backend = os.environ.get("PRICES_RESULTS", "redis://127.0.0.1:6379/0")
    task_default_queue = "default"
    task_routes = (route,)
    task_track_started = True
    result_expires = 3600
    timezone = "Europe/Berlin"


class Loader(AppLoader):
    """Says when a worker's process is ready for tasks."""

    def on_worker_process_init(self):
        super().on_worker_process_init()
        audit("loader", "on_worker_process_init")


class PriceRequest(Request):
    """Audits what a worker hears of a task, and what it tells of it."""

    def on_accepted(self, pid, time_accepted):
        audit("request", f"accepted {self.name}")
        return super().on_accepted(pid, time_accepted)

    def on_success(self, failed__retval__runtime, **kwargs):
        audit("request", f"success {self.name}")
        return super().on_success(failed__retval__runtime, **kwargs)


class PriceTask(Task):
    """Audits the whole life of a task."""

    def before_start(self, task_id, args, kwargs):
        audit("task", f"start {self.name}")

    def on_success(self, retval, task_id, args, kwargs):
        audit("task", f"success {self.name}")

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        audit("task", f"retry {self.name}")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        audit("task", f"failure {self.name}")

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        audit("task", f"return {self.name} {status}")


app = Celery("prices", loader=Loader, task_cls=PriceTask)
app.config_from_object(Settings)


@signals.before_task_publish.connect
def sign(headers, **_):
    headers["asked_by"] = "prices"


@signals.task_prerun.connect
def hear_of_start(task, **_):
    audit("signal", f"prerun {task.name} asked by {task.request.get('asked_by')}")


@signals.task_failure.connect
def hear_of_failure(sender, exception, **_):
    audit("signal", f"failure {sender.name} {exception!r}")


class ShopClosedError(Exception):
    """What a shop says that does not answer."""


@app.task
def add(a, b):
    return a + b


@app.task
def total(prices):
    return sum(prices)


@app.task(bind=True, max_retries=3)
def ask(self, closed, countdown=0):
    """Ask a shop that does not answer the first `closed` times; returns how many tries it took."""
    if self.request.retries < closed:
        raise self.retry(exc=ShopClosedError(f"try {self.request.retries}"), countdown=countdown)
    return self.request.retries + 1


@app.task
def ask_closed(message):
    raise ShopClosedError(message)


@app.task
def wait(seconds):
    time.sleep(seconds)
    return seconds


@app.task(Request=PriceRequest)
def lowest(prices):
    return min(prices)
