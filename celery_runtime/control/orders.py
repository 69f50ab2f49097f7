"""What the workers are told to do. They forget it when they start again: what is to stay belongs into the code.

Read in Celery 5.7.0: celery/worker/control.py (`rate_limit`, `revoke`, `add_consumer`; what they answer).
"""

from __future__ import annotations

import re
from typing import Any

from celery import Celery
from celery.states import READY_STATES

from celery_runtime import text_table
from celery_runtime.control.questions import Answers, NobodyError, ask
from celery_runtime.settings import ConfigError
from celery_runtime.task_names import check_task

TASK_ID = re.compile(r"[!-~]{1,255}")  # Celery lets an app choose its own
RATE = re.compile(r"\d+(\.\d+)?(/[smh])?")
TERMINATE = "SIGTERM"


def revoke(app: Celery, options: Any) -> str:
    """Celery keeps what was revoked in the workers' memory, so it does not hold for one that starts later."""
    task_id = options.id
    if not TASK_ID.fullmatch(task_id):
        raise ConfigError(
            f"ID = {task_id!r} is no task's id.\n  Take it from `active` or `scheduled`: make revoke ID=1f0c2d5e-..."
        )
    state = app.backend.get_task_meta(task_id)["status"]
    if state in READY_STATES:
        raise NobodyError(f"Task {task_id} has ended already: {state}.")
    active = ask(app, options.wait, "active")
    running = [name for name, tasks in active for task in tasks if task["id"] == task_id]
    order = {"task_id": task_id, "terminate": options.terminate, "signal": TERMINATE}
    answers = ask(app, options.wait, "revoke", limit=len(active), **order)
    told = f"Task {task_id} is revoked: none of the {len(answers)} workers that answered will start it."
    if running and options.terminate:
        return f"Task {task_id} is ended on {running[0]}, and revoked on {len(answers)} workers."
    return f"{told}\n  It runs on {running[0]}, and goes on: --terminate ends it." if running else told


def rate(app: Celery, options: Any) -> str:
    if not RATE.fullmatch(options.rate):
        raise ConfigError(
            f"RATE = {options.rate!r} is no rate.\n  Write a number a second, minute or hour: 10/s, 100/m; 0 for none."
        )
    answers = ask(app, options.wait, "rate_limit", task_name=options.task, rate_limit=options.rate)
    if not any("ok" in answer for _, answer in answers):
        check_task(app, options.task)
    limit = f"at most {options.rate}" if float(options.rate.partition("/")[0]) else "without a limit"
    return _table(answers, f"Each of them starts {options.task} {limit}, until it is itself started anew.")


def events(app: Celery, options: Any) -> str:
    commands = {"on": "enable_events", "off": "disable_events"}
    if options.state not in commands:
        raise ConfigError(f"events {options.state!r} is neither on nor off.\n  Write: events on, or: events off")
    return _table(ask(app, options.wait, commands[options.state]), "")


def consume(app: Celery, options: Any) -> str:
    if options.queue not in app.amqp.queues:
        known = ", ".join(app.amqp.queues)
        raise ConfigError(f"QUEUE = {options.queue!r} is no queue of queues.toml.\n  Choose one of {known}.")
    names = [name for name, _ in ask(app, options.wait, "ping")]
    chosen = [name for name in names if options.worker in (name, name.partition("@")[0])]
    if not chosen:
        raise ConfigError(f"WORKER = {options.worker!r} is none that answers.\n  Choose one of {', '.join(names)}.")
    command = "cancel_consumer" if options.stop else "add_consumer"
    return _table(ask(app, options.wait, command, to=chosen, queue=options.queue), "")


def _table(answers: Answers, well: str) -> str:
    """The workers' answers. Raises NobodyError when each of them is a refusal."""
    rows = [{"worker": name, "answer": said.get("ok") or f"refused: {said.get('error')}"} for name, said in answers]
    table = text_table.render(rows)
    if not any("ok" in said for _, said in answers):
        raise NobodyError(table)
    return f"{table}\n{well}".rstrip()
