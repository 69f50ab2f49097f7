"""The tasks, one module for each kind of work; `app/celery.py` says which module has which queue."""

from typing import Any, ClassVar

from celery import Task
from sqlalchemy.exc import InterfaceError, OperationalError

DATABASE_AWAY = (OperationalError, InterfaceError)


class DatabaseTask(Task):  # type: ignore[misc]
    """Tries again while the database is away: after 1 s, then twice as long each time, at most a minute, at random."""

    autoretry_for: tuple[Any, ...] = DATABASE_AWAY
    retry_kwargs: ClassVar = {"max_retries": 10}
    retry_backoff = 1
    retry_backoff_max = 60
    retry_jitter = True
    # A task whose process was killed is tried max_retries times (Celery's 3) after this many seconds, not after 180.
    default_retry_delay = 5
