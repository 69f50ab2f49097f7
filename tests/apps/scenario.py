"""What is asked of an example, by a process of its app as a web process is: `scenario.py WHAT ARGUMENTS`.

APP and TASKS say whose tasks, WORKERS how many run; RUNTIME that the runtime is installed. `ask` prints the answers to
questions as JSON; nothing in them differs from run to run. `publish` prints the id of each task that was accepted.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from celery import chain, chord, group
from celery.app.utils import find_app
from celery.exceptions import TaskRevokedError

PATIENCE = 60  # seconds
EACH = {"limit": int(os.environ.get("WORKERS", "1")), "timeout": 20}  # workers to answer, and seconds for it
sys.path.insert(0, os.getcwd())  # noqa: PTH109  where `celery -A` looks


def load():
    """Return the app and its tasks by what they do."""
    if "RUNTIME" in os.environ:
        from celery_runtime.wrap import app
    else:
        app = find_app(os.environ["APP"])
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
    app.loader.import_default_modules()
    app.finalize()
    return app, SimpleNamespace(**{role: app.tasks[name] for role, name in json.loads(os.environ["TASKS"]).items()})


def results(app, tasks):
    many = [tasks.add.delay(number, 1) for number in range(20)]
    result = tasks.add.delay(2, 3)
    return [result.get(PATIENCE), result.state, [each.get(PATIENCE) for each in many]]


def canvas(app, tasks):
    add, total = tasks.add, tasks.total
    broken = chord([add.s(1, 1), tasks.fail.s("in a header")])(total.s())
    return {
        "chain": chain(add.s(1, 2), add.s(4), add.s(8)).apply_async().get(PATIENCE),
        "group": group(add.s(number, number) for number in range(10)).apply_async().get(PATIENCE),
        "chord": chord(add.s(number, 1) for number in range(10))(total.s()).get(PATIENCE),
        "chord in a chain": chain(add.s(1, 1), group(add.s(1), add.s(2)), total.s()).apply_async().get(PATIENCE),
        "map": add.starmap([(1, 2), (3, 4)]).apply_async().get(PATIENCE),
        "chunks": add.chunks([(number, 1) for number in range(6)], 2).apply_async().get(PATIENCE),
        "broken": ended(broken),
    }


def ended(result):
    """The state, and of an error its kind: that of a chord names an id."""
    value = result.get(PATIENCE, propagate=False)
    return [result.state, type(value).__name__ if isinstance(value, BaseException) else value]


def retries(app, tasks):
    late = tasks.retry.delay(2, countdown=1), tasks.retry.delay(9, countdown=1)
    return [ended(result) for result in late]


def failures(app, tasks):
    result = tasks.fail.delay("as asked")
    value = result.get(PATIENCE, propagate=False)
    followed = tasks.fail.apply_async(("with a follower",), link_error=tasks.add.si(1, 1))
    return [result.state, type(value).__name__, str(value), "as asked" in result.traceback, ended(followed)]


def timing(app, tasks):
    began = time.monotonic()
    late = tasks.add.apply_async((1, 1), countdown=2)
    eta = tasks.add.apply_async((2, 2), eta=datetime.now(UTC) + timedelta(seconds=2))
    expired = tasks.add.apply_async((3, 3), countdown=2, expires=1)
    values = [late.get(PATIENCE), eta.get(PATIENCE)]
    return [values, 1.5 < time.monotonic() - began < PATIENCE / 2, ended(expired)]


def control(app, tasks):
    inspect = app.control.inspect(**EACH)
    names = set(json.loads(os.environ["TASKS"]).values())
    running, waiting = tasks.sleep.delay(30), tasks.add.apply_async((1, 1), countdown=8)
    (seen,) = until(lambda: [each for each in flat(inspect.active()) if each["id"] == running.id])
    app.control.revoke([running.id, waiting.id], terminate=True)
    return {
        "ping": sorted(set(map(json.dumps, (inspect.ping() or {}).values()))),
        "registered": sorted(names & {each.split(" [")[0] for each in flat(inspect.registered())}),
        "queues": sorted(queue["name"] for queue in flat(inspect.active_queues())),
        "active": [seen["name"], seen["args"], seen["kwargs"]],
        "revoked": [revoked(running), revoked(waiting)],
        "rate": sorted({json.dumps(each) for answer in limited(app, tasks) for each in answer.values()}),
        "survives": tasks.add.delay(2, 2).get(PATIENCE),
    }


def limited(app, tasks):
    return app.control.rate_limit(tasks.add.name, "1000/s", reply=True, **EACH)


def flat(answers):
    return [each for answer in (answers or {}).values() for each in answer]


def revoked(result):
    with suppress(TaskRevokedError):
        return ["no error", result.get(PATIENCE)]
    return result.state


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)
    return found


def events(app, tasks):
    app.control.enable_events(reply=True, **EACH)
    heard, listening = {}, threading.Event()

    def hear(event):
        heard.setdefault(event["uuid"], Counter())[event["type"]] += 1

    def listen():
        handlers = dict.fromkeys(KINDS, hear) | {"test-heard": lambda event: listening.set()}
        with app.connection_for_read() as connection, suppress(OSError):
            app.events.Receiver(connection, handlers=handlers).capture(timeout=PATIENCE, wakeup=False)

    threading.Thread(target=listen, daemon=True).start()
    with app.events.default_dispatcher() as dispatcher:
        until(lambda: dispatcher.send("test-heard") or listening.is_set())
    ids = [tasks.add.delay(1, 1).id, tasks.retry.delay(1, countdown=1).id, tasks.fail.delay("loudly").id]
    last = ["task-succeeded", "task-succeeded", "task-failed"]
    until(lambda: all(end in heard.get(task, ()) for task, end in zip(ids, last, strict=True)))
    app.control.disable_events(reply=True, **EACH)
    return [heard[task] for task in ids]


KINDS = (
    "task-received",
    "task-started",
    "task-succeeded",
    "task-failed",
    "task-retried",
    "task-revoked",
    "task-rejected",
)


def audited(app, tasks):
    """Of an app with a class of requests of its own."""
    return [tasks.audited.delay([3, 1, 2]).get(PATIENCE)] if hasattr(tasks, "audited") else []


QUESTIONS = (results, canvas, retries, failures, timing, control, events, audited)


def ask(*names):
    app, tasks = load()
    asked = [question for question in QUESTIONS if not names or question.__name__ in names]
    print(json.dumps({question.__name__: question(app, tasks) for question in asked}))


def publish(count, seconds):
    _, tasks = load()
    for _ in range(int(count)):
        print(tasks.sleep.delay(float(seconds)).id, flush=True)


if __name__ == "__main__":
    {"ask": ask, "publish": publish}[sys.argv[1]](*sys.argv[2:])
