"""The app that is checked: imported as a worker imports it, with all that goes wrong on the way."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.app.utils import find_app

from celery_runtime.check.finding import Finding, Severity, place, place_of
from celery_runtime.installation import SAFE_SETTINGS
from celery_runtime.own_settings import own_settings
from celery_runtime.queues import Queue


@dataclass(frozen=True)
class Subject:
    """own: the settings that the app makes itself. tasks: those that are no one else's, by name."""

    app: Celery
    own: Mapping[str, Any]
    tasks: Mapping[str, Any]
    queues: Mapping[str, Queue]

    def queue_of(self, task: Any) -> str:
        """The queue of a call without arguments; "" for the default one, which the runtime names.

        Raises whatever a router of the app's raises.
        """
        options = dict(task._get_exec_options())  # noqa: SLF001 -- what apply_async merges
        queue = self.app.amqp.router.route(options, task.name, (), {}, task_type=task).get("queue")
        name = str(getattr(queue, "name", queue) or "")
        return "" if name == self.app.conf.task_default_queue and "task_default_queue" not in self.own else name


def load(name: str, queues: Mapping[str, Queue]) -> tuple[Subject | None, list[Finding]]:
    """Import the app `name`, MODULE:ATTRIBUTE, and what it imports; None when it cannot be had at all."""
    sys.path.insert(0, str(Path.cwd()))
    findings: list[Finding] = []
    with _heard_names(findings):
        found = _tried(findings, f"CELERY_APP = {name}", lambda: find_app(name))
        if found is None:
            return None, findings
        app: Celery = found
        own = own_settings(app)
        # What a task says of itself wins, and is all that is left to find. Routes are looked at, not refused.
        app.conf.update(SAFE_SETTINGS | {"task_create_missing_queues": True})
        for module in app.loader.default_modules:
            _tried(findings, f"the module {module}", partial(app.loader.import_task_module, module))
        _tried(findings, "the app", app.finalize)
        for receiver, answer in signals.import_modules.send_robust(sender=app):  # autodiscovery is one of them
            if isinstance(answer, Exception):
                findings.append(_failed_import(f"what {getattr(receiver, '__name__', receiver)} discovers", answer))
    theirs = ("celery.", "celery_runtime.")
    tasks = {name: task for name, task in sorted(app.tasks.items()) if not name.startswith(theirs)}
    return Subject(app, own, tasks, queues), findings


def _tried(findings: list[Finding], what: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 -- whatever the app's modules raise
        findings.append(_failed_import(what, error))
        return None


def _failed_import(what: str, error: BaseException) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())]
    last = own[-1] if own else None
    return Finding(
        Severity.ERROR,
        "import",
        f"{what} cannot be imported: {type(error).__name__}: {error}",
        "Until it can, no worker starts.",
        place(last.filename, last.lineno or 0) if last else "",
    )


@contextmanager
def _heard_names(findings: list[Finding]) -> Iterator[None]:
    """Hear of functions that claim one name. Celery makes tasks in no certain order, and keeps the first it makes."""
    make = Celery._task_from_fun  # noqa: SLF001
    places: dict[str, list[str]] = {}

    def heard(self: Any, fun: Any, name: str | None = None, **options: Any) -> Any:
        known, here = places.setdefault(name or self.gen_task_name(fun.__name__, fun.__module__), []), place_of(fun)
        if here not in known:
            known.append(here)
        return make(self, fun, name=name, **options)

    Celery._task_from_fun = heard  # noqa: SLF001
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Task name .* is already registered")  # Celery 5.7's own words for it
            yield
    finally:
        Celery._task_from_fun = make  # noqa: SLF001
    findings += [_claimed_twice(name, where) for name, where in places.items() if len(where) > 1]


def _claimed_twice(name: str, places: list[str]) -> Finding:
    *others, last = sorted(places, key=lambda place: (place.rpartition(":")[0], int(place.rpartition(":")[2] or 0)))
    return Finding(
        Severity.ERROR,
        "name-twice",
        f"the task {name} has the name of that of {', '.join(others)}: which of them runs is chance",
        "Give it a name of its own: @app.task(name=...).",
        last,
    )
