"""What the workers answer: one row for each worker, or for each task that they have.

Read in Celery 5.7.0: celery/worker/control.py, celery/worker/request.py (`Request.info`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from celery import Celery

from celery_runtime import text_table

Answers = list[tuple[str, Any]]
ARGUMENTS = 60  # characters of a task's arguments


class NobodyError(Exception):
    """Nothing was done, and why: no worker answered, or none could."""


def ask(
    app: Celery, wait: float, command: str, *, to: list[str] | None = None, limit: int | None = None, **arguments: Any
) -> Answers:
    """The answer of each worker, by its name; waits for no further one after `limit`. Raises NobodyError."""
    replies = app.control.broadcast(command, arguments, destination=to, limit=limit, reply=True, timeout=wait) or []
    answers = sorted((item for reply in replies for item in reply.items()), key=lambda item: item[0])
    if not answers:
        who = f"{', '.join(to)} did not answer" if to else "No worker answered"
        raise NobodyError(
            f"{who} within {wait:g} s.\n  See whether they run and reach the broker: make status, make logs"
        )
    return answers


def workers(app: Celery, options: Any) -> str:
    stats = ask(app, options.wait, "stats")
    busy = {name: len(tasks) for name, tasks in ask(app, options.wait, "active", limit=len(stats))}
    served = ask(app, options.wait, "active_queues", limit=len(stats))
    queues = {name: ", ".join(queue["name"] for queue in found) for name, found in served}
    return _told([_worker(name, said, busy, queues) for name, said in stats], options, "")


def active(app: Celery, options: Any) -> str:
    answers = ask(app, options.wait, "active")
    rows = [_running(name, task) for name, tasks in answers for task in tasks]
    return _told(rows, options, f"No task runs on any of {len(answers)} workers.")


def scheduled(app: Celery, options: Any) -> str:
    answers = ask(app, options.wait, "scheduled")
    rows = [{"eta": each["eta"], **_task(name, each["request"])} for name, tasks in answers for each in tasks]
    rows.sort(key=lambda row: row["eta"])
    elsewhere = "\n  RabbitMQ keeps them itself until they are due." if _delays_itself(app) else ""
    return _told(rows, options, f"No task waits for its time on any of {len(answers)} workers.{elsewhere}")


def registered(app: Celery, options: Any) -> str:
    """A task that some workers know and others do not is a deploy that is under way, or was forgotten."""
    known: dict[tuple[str, str], list[str]] = {}
    for name, tasks in ask(app, options.wait, "registered", taskinfoitems=["rate_limit"]):
        for task in tasks:
            label, _, info = task.partition(" [")
            limit = dict(part.split("=", 1) for part in info.rstrip("]").split()).get("rate_limit", "-")
            known.setdefault((label, limit), []).append(name)
    rows = [
        {"task": task, "rate_limit": limit, "workers": ", ".join(by)} for (task, limit), by in sorted(known.items())
    ]
    return _told(rows, options, "No worker knows a task.")


def _delays_itself(app: Celery) -> bool:
    with app.connection_for_write() as connection:
        return str(connection.transport.driver_type) == "amqp"


def _worker(name: str, said: dict[str, Any], busy: dict[str, int], queues: dict[str, str]) -> dict[str, Any]:
    pool = said.get("pool", {})
    return {
        "worker": name,
        "queues": queues.get(name, "-"),
        "pool": _pool(pool.get("implementation", "")),
        "slots": pool.get("max-concurrency", "-"),
        "running": busy.get(name, "-"),
        "done": sum(said.get("total", {}).values()),
        "up": _duration(said.get("uptime", 0)),
    }


def _pool(implementation: str) -> str:
    """The name in queues.toml of `package.module:Class`."""
    module = implementation.partition(":")[0].removesuffix(".pool").rpartition(".")[2]
    return {"thread": "threads"}.get(module, module) or "-"


def _task(worker: str, task: dict[str, Any]) -> dict[str, Any]:
    arguments = f"{task['args']} {task['kwargs'] or ''}".strip()
    return {"worker": worker, "task": task["name"], "id": task["id"], "arguments": arguments[:ARGUMENTS]}


def _running(worker: str, task: dict[str, Any]) -> dict[str, Any]:
    began = datetime.fromtimestamp(task["time_start"], UTC) if task.get("time_start") else None
    for_seconds = (datetime.now(UTC) - began).total_seconds() if began else 0.0
    return {"runs_for": _duration(for_seconds), **_task(worker, task)}


def _told(rows: list[dict[str, Any]], options: Any, nothing: str) -> str:
    if options.json:
        return json.dumps(rows, indent=2)
    return text_table.render(rows) if rows else nothing


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    shown = [f"{count}{unit}" for count, unit in parts if count]
    return " ".join(shown[:2]) or "0s"
