"""Beat with the scheduler that the app names in `beat_scheduler`, like Django's, whose schedule is edited in Admin.

It sends only while it holds RedBeat's lock in Redis, so that a second Beat of any kind waits, and it is made anew each
time the lock is got: what another Beat has sent meanwhile stands in its store, not in what was read before.

Read in Celery 5.7.0: beat.py, `Service` (what it asks of a scheduler) and `Scheduler.tick` (an entry is reserved, then
sent); in django-celery-beat 2.9.0: schedulers.py (it writes down every three minutes when entries ran).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from celery.beat import load_extension_class_names
from kombu.utils.imports import symbol_by_name
from redbeat import RedBeatScheduler
from redbeat.schedulers import ensure_conf
from redis.exceptions import LockError

from celery_runtime.beat import REDIS_AWAY, Guard, ScheduleAwayError, Scheduler, Sending, pulse
from celery_runtime.health import State
from celery_runtime.publishing import publish_patiently
from celery_runtime.schedule.changes import bound_redis

ALIASES = "celery.beat_schedulers"  # where packages name their schedulers: `django`


def guarded(name: str) -> Callable[..., Guard]:
    """What makes a guarded scheduler out of the one that `name` names as `beat_scheduler` does.

    It is imported when one is made: Django's cannot be until Django is set up.
    """

    def make(app: Any, **kwargs: Any) -> Guard:
        found = symbol_by_name(name, aliases=dict(load_extension_class_names(ALIASES)))
        if issubclass(found, RedBeatScheduler):
            redbeat: Guard = Scheduler(app, **kwargs)
            return redbeat
        return OwnScheduler(app, found, **kwargs)

    return make


class OwnScheduler(Guard):
    """A scheduler of the class `theirs`, for as long as this Beat holds the lock."""

    def __init__(self, app: Any, theirs: type, *, lazy: bool = False, **kwargs: Any) -> None:
        publish_patiently(app)
        bound_redis(app)
        redbeat = ensure_conf(app)
        self.app, self.lock_key, self.lock_timeout = app, redbeat.lock_key, redbeat.lock_timeout
        self.max_interval = app.conf.beat_max_loop_interval
        self.info = f"    . schedule -> {theirs.__module__}.{theirs.__name__}\n    . lock -> {self.lock_key}"
        kind = type(theirs.__name__, (_Theirs, Sending, theirs), {"guard": self})
        self._make = partial(kind, app, sync_every_tasks=1, **kwargs)
        self._current: Any = None

    def should_sync(self) -> bool:
        """Never from outside: it writes down each run when it was sent."""
        return False

    def close(self) -> None:
        """Write down what ran and let another Beat have the lock."""
        pulse.move(State.DRAINING)
        if self._current is not None:
            self._current.close()
        if self.lock is not None:
            self._let_go(self.lock.release)
            self.lock = None

    def _begin(self) -> None:
        with _explained():
            self._current = self._make()

    def _send_due(self, *args: Any, **kwargs: Any) -> float:
        self._extend()
        with _explained():
            return float(self._current.tick(*args, **kwargs))

    def _count_entries(self) -> int:
        return len(self._current.old_schedulers or ())


@contextmanager
def _explained() -> Iterator[None]:
    """Their store raises whatever its driver raises: Beat outlives that as it outlives Redis."""
    try:
        yield
    except (*REDIS_AWAY, LockError):
        raise
    except Exception as error:
        raise ScheduleAwayError(f"the schedule cannot be read: {error!r}") from error


class _Theirs:
    """Mixed into their scheduler."""

    guard: OwnScheduler

    def reserve(self, entry: Any) -> Any:
        """Called before `entry` is sent, and before anything says that it was. Raises LockError."""
        self.guard._extend()  # noqa: SLF001 -- a part of it
        return super().reserve(entry)  # type: ignore[misc]

    def sync(self) -> None:
        """Write down what ran, unless another Beat may know better."""
        if self.guard.lock is not None:
            super().sync()  # type: ignore[misc]
