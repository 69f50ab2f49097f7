"""`celery-runtime schedule`: what an operator does with Beat's entries."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from celery import Celery
from celery.schedules import ParseException
from celery.schedules import schedule as interval

from celery_runtime import publishing, text_table
from celery_runtime.publishing import BrokerAwayError
from celery_runtime.schedule.changes import Schedule, UnknownEntryError
from celery_runtime.schedule.entries import Entry
from celery_runtime.schedule.zones import LocalCrontab, describe
from celery_runtime.settings import ConfigError
from celery_runtime.task_names import check_task

SHORTEST, LONGEST = 1, 366 * 86_400  # seconds of an interval
DAY = 86_400  # seconds
FIELDS = 5


def run(app: Celery, options: Any) -> int:
    """Run one action; returns its exit code. Raises ConfigError for a wrong option."""
    schedule = Schedule(app)
    action = ACTIONS[options.action]
    try:
        print(publishing.bounded(app, lambda: action(schedule, options)))
    except UnknownEntryError as error:
        raise ConfigError(f"{error}\n  Add it with: set {options.name} --every 60 --task TASK") from None
    except BrokerAwayError as error:
        print(f"Redis or the broker does not answer as it should: {error}", file=sys.stderr)
        return 1
    return 0


def _list(schedule: Schedule, options: Any) -> str:
    changed, now = schedule.changed(), datetime.now(UTC)
    rows = [_row(entry, entry.name in changed, now) for entry in schedule.entries()]
    return json.dumps(rows, indent=2) if options.json else text_table.render(rows)


def _row(entry: Entry, changed: bool, now: datetime) -> dict[str, Any]:
    return {
        "name": entry.name,
        "task": entry.task,
        "schedule": describe(entry.schedule),
        "state": " ".join(["enabled" if entry.enabled else "disabled", *(["changed"] if changed else [])]),
        "last_run": _shown(entry.last_run),
        "next_run": _shown(entry.next_run(now)),
    }


def _set(schedule: Schedule, options: Any) -> str:
    try:
        entry = schedule.find(options.name)
    except UnknownEntryError:
        if options.task is None:
            raise
        check_task(schedule.app, options.task)
        entry = Entry(name=options.name, task=options.task, app=schedule.app, schedule=DAY)
    else:
        if options.task not in (None, entry.task):
            raise ConfigError(f"--task = {options.task!r}: {options.name} sends {entry.task}.\n  Leave --task out.")
    entry.schedule = _interval(options) if options.every is not None else _crontab(options)
    entry.options = {**entry.options, "expires": _gap(entry.schedule)}
    schedule.change(entry)
    return f"{entry.name} runs {describe(entry.schedule)}. The code's own again: reset {entry.name}"


def _enable(schedule: Schedule, options: Any) -> str:
    return _switch(schedule, options.name, on=True)


def _disable(schedule: Schedule, options: Any) -> str:
    return _switch(schedule, options.name, on=False)


def _switch(schedule: Schedule, name: str, *, on: bool) -> str:
    entry = schedule.find(name)
    entry.enabled = on
    schedule.change(entry)
    return f"{name} is {'enabled' if on else 'disabled'}."


def _reset(schedule: Schedule, options: Any) -> str:
    if schedule.reset(options.name):
        return f"{options.name} is as in the code again: {describe(schedule.find(options.name).schedule)}."
    return f"{options.name} is not in the code, and was removed."


def _run(schedule: Schedule, options: Any) -> str:
    task = schedule.task(schedule.find(options.name)).set(task_id=str(uuid4()))
    publishing.publish(schedule.app, [task], pending=True)
    return f"{task.task} was sent as task {task.options['task_id']}"


ACTIONS: dict[str, Callable[[Schedule, Any], str]] = {
    "list": _list,
    "set": _set,
    "enable": _enable,
    "disable": _disable,
    "reset": _reset,
    "run": _run,
}


def _interval(options: Any) -> Any:
    if options.zone is not None:
        raise ConfigError(f"--zone = {options.zone!r} says nothing of --every.\n  Leave it out, or use --cron.")
    try:
        seconds = float(options.every)
    except ValueError:
        seconds = 0.0
    if not SHORTEST <= seconds <= LONGEST:  # NaN too
        raise ConfigError(f"--every = {options.every!r} is no number of seconds from {SHORTEST} to {LONGEST}.")
    return interval(seconds)


def _crontab(options: Any) -> LocalCrontab:
    fields = options.cron.split()
    if len(fields) != FIELDS:
        raise ConfigError(f"--cron = {options.cron!r} has {len(fields)} fields.\n  Write five: '0 7 * * mon-fri'")
    minute, hour, day, month, weekday = fields
    try:
        return LocalCrontab(minute, hour, weekday, day, month, zone=_zone(options.zone or "UTC"))
    except (ParseException, ValueError) as error:
        raise ConfigError(
            f"--cron = {options.cron!r} is not valid: {error}.\n  A valid example: '0 7 * * 1-5'"
        ) from None


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"--zone = {name!r} is no time zone.\n  A valid example: --zone Europe/Berlin") from None


def _gap(schedule: Any) -> float:
    """Seconds from the next run to the one after it: a message that nobody took by then has expired."""
    if not isinstance(schedule, LocalCrontab):
        return float(schedule.run_every.total_seconds())
    first = _after(schedule, datetime.now(UTC))
    return (_after(schedule, first) - first).total_seconds()


def _after(schedule: LocalCrontab, moment: datetime) -> datetime:
    begin, delta, _ = schedule.remaining_delta(moment)
    following: datetime = (begin + delta).astimezone(UTC)
    return following


def _shown(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else "-"
