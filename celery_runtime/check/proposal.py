"""`celery-runtime queues`: a queues.toml for an app that has none yet, from its routes and its time limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from celery_runtime.check.subject import Subject
from celery_runtime.queues import DAY, NAME

SHOWN = 5  # names of tasks in a comment
DEFAULT = "default"


def propose(subject: Subject) -> str:
    """The text of the file. A name that queues.toml does not allow stands in a comment, with what to do."""
    return "\n".join(_lines(subject)) + "\n"


def _lines(subject: Subject) -> Iterator[str]:
    yield "# Proposed by `celery-runtime queues`: read it, and say what each queue needs."
    served: defaultdict[str, list[Any]] = defaultdict(list, {DEFAULT: []})
    for task in subject.tasks.values():
        queue = ""
        with suppress(Exception):  # of a router of the app's; `celery-runtime check` tells of it
            queue = subject.queue_of(task)
        served[queue or DEFAULT].append(task)
    for queue, tasks in served.items():
        yield ""
        yield from _block(subject, queue, tasks)


def _block(subject: Subject, queue: str, tasks: list[Any]) -> Iterator[str]:
    if not NAME.fullmatch(queue):
        yield f"# The queue {queue!r} must be renamed: at most 40 lower-case letters, digits, hyphens, a letter first."
        return
    names = [task.name for task in tasks]
    yield f"[queues.{queue}]"
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield f"# {', '.join(names[:SHOWN])}{more}"
    limits = [task.time_limit for task in tasks if task.time_limit]
    limit = max(limits, default=subject.own.get("task_time_limit"))
    if limit:
        yield f"time_limit = {min(int(limit), DAY)}"
    else:
        yield "# No task has a limit: this is the longest that one may take, in seconds."
        yield "time_limit = 60"
    concurrency = subject.own.get("worker_concurrency")
    if concurrency:
        yield f"concurrency = {int(concurrency)}"
