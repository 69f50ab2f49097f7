"""What is looked for. Each rule yields its findings; RULES has all of them, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from celery_runtime.check.finding import Finding, Severity, place_of_task
from celery_runtime.check.subject import Subject
from celery_runtime.installation import SAFE_SETTINGS
from celery_runtime.promises import BREAKING, FORMATS, UNSAFE_FORMATS, unsafe_formats
from celery_runtime.queues import Queue

ERROR, WARNING = Severity.ERROR, Severity.WARNING


def names(subject: Subject) -> Iterator[Finding]:
    for name, task in subject.tasks.items():
        if name.startswith("__main__."):
            yield Finding(
                ERROR,
                "name-main",
                f"the task {name} has another name in every process that starts in another way",
                "Move it into a module that is imported, or name it: @app.task(name=...).",
                place_of_task(task),
            )


def routes(subject: Subject) -> Iterator[Finding]:
    for name, task in subject.tasks.items():
        try:
            queue = subject.queue_of(task)
        except Exception as error:  # noqa: BLE001 -- of a router of the app's
            yield Finding(
                WARNING,
                "route",
                f"where the task {name} goes is not known: without arguments the router raises {error!r}",
                "Route by the task's name, or look yourself whether a worker serves its queue.",
                place_of_task(task),
            )
            continue
        if queue and queue not in subject.queues:
            yield _nobody_serves(f"the task {name} goes", queue, subject, place_of_task(task))


def schedule(subject: Subject) -> Iterator[Finding]:
    for name, entry in (subject.app.conf.beat_schedule or {}).items():
        told = entry if isinstance(entry, dict) else vars(entry)
        task, queue = told.get("task"), (told.get("options") or {}).get("queue")
        if task not in subject.app.tasks:
            yield Finding(
                ERROR,
                "schedule-task",
                f"the schedule's entry {name!r} sends {task!r}, which is no task of this app",
                "Correct its name, or import its module in `include`.",
            )
        if queue and str(queue) not in subject.queues:
            yield _nobody_serves(f"the schedule's entry {name!r} goes", str(queue), subject)


def formats(subject: Subject) -> Iterator[Finding]:
    for setting in FORMATS:
        value = subject.own.get(setting)
        if unsafe_formats(value):
            yield Finding(
                ERROR,
                "format",
                f"{setting} = {value!r} lets whoever reaches the broker run code; the runtime accepts JSON only",
                "Pass what JSON can hold: ids, not objects.",
            )
    for name, task in subject.tasks.items():
        if task.serializer in UNSAFE_FORMATS:
            yield Finding(
                ERROR,
                "format",
                f"the task {name} is sent as {task.serializer}, which no worker of the runtime accepts",
                "Take its `serializer` away, and pass what JSON can hold.",
                place_of_task(task),
            )


def guarantees(subject: Subject) -> Iterator[Finding]:
    for setting, (breaks, cost) in BREAKING.items():
        if setting in subject.own and setting not in FORMATS and breaks(subject.own[setting]):
            yield Finding(
                WARNING,
                "setting",
                f"{setting} = {subject.own[setting]!r}: {cost}; the runtime sets {SAFE_SETTINGS[setting]!r}",
                f"Take it out of the app's settings, or keep it: KEEP_SETTINGS={setting}.",
            )
    if subject.own.get("task_always_eager"):
        yield Finding(
            ERROR,
            "eager",
            "task_always_eager = True: tasks run in whoever calls them, and nothing is sent",
            "Set it in the settings of tests alone.",
        )
    if "result_expires" in subject.own and not subject.own["result_expires"]:
        yield Finding(
            WARNING,
            "results",
            "result_expires is off: results stay until Redis is full, and then it accepts no task",
            "Set it to the seconds for which somebody may ask for a result.",
        )


def tasks(subject: Subject) -> Iterator[Finding]:
    for name, task in subject.tasks.items():
        where = place_of_task(task)
        if not task.acks_late:
            yield Finding(
                WARNING,
                "early-ack",
                f"the task {name} is acknowledged before it runs: a killed worker loses it",
                "Take `acks_late=False` away and make the task safe to repeat.",
                where,
            )
        if task.max_retries is None:
            yield Finding(
                WARNING,
                "retries",
                f"the task {name} is retried for ever: one that cannot succeed never leaves the queue",
                "Set max_retries; what gives up is kept as a dead letter.",
                where,
            )


def limits(subject: Subject) -> Iterator[Finding]:
    for name, task in subject.tasks.items():
        if task.soft_time_limit and task.time_limit and task.soft_time_limit >= task.time_limit:
            yield Finding(
                ERROR,
                "limits",
                f"the task {name} is killed after {task.time_limit} s, not after its soft {task.soft_time_limit} s",
                "Let soft_time_limit be below time_limit.",
                place_of_task(task),
            )
        queue = _served_by(subject, task)
        if queue and task.time_limit and task.time_limit >= queue.drain and not queue.requeue_on_drain:
            yield Finding(
                ERROR,
                "drain",
                f"the task {name} may run for {task.time_limit} s, and a worker of {queue.name} that stops waits"
                f" {queue.drain} s: each deploy repeats it",
                f"Set time_limit = {task.time_limit} of [queues.{queue.name}] in queues.toml.",
                place_of_task(task),
            )


RULES: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    names, routes, schedule, formats, guarantees, tasks, limits,
)  # fmt: skip


def _served_by(subject: Subject, task: Any) -> Queue | None:
    try:
        return subject.queues.get(subject.queue_of(task) or next(iter(subject.queues)))
    except Exception:  # noqa: BLE001 -- `routes` tells of it
        return None


def _nobody_serves(what: str, queue: str, subject: Subject, where: str = "") -> Finding:
    return Finding(
        ERROR,
        "queue",
        f"{what} to the queue {queue!r}, which no worker serves",
        f"Add [queues.{queue}] to queues.toml, or route it to one of {', '.join(subject.queues)}.",
        where,
    )
