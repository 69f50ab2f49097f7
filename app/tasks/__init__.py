"""The tasks, one module for each kind of work; `app/celery.py` says which module has which queue."""

from typing import Any, ClassVar

from sqlalchemy.exc import InterfaceError, OperationalError

from app.mail import MailUnavailableError
from celery_runtime.tasks.locked import REDIS_AWAY
from celery_runtime.tasks.retry import RetryingTask

DATABASE_AWAY = (OperationalError, InterfaceError)
STORES_AWAY = (*REDIS_AWAY, *DATABASE_AWAY)


class DatabaseTask(RetryingTask):
    """Tries again while the database is away: ten times, a minute apart at most, at random."""

    autoretry_for: tuple[Any, ...] = DATABASE_AWAY
    retry_kwargs: ClassVar = {"max_retries": 10}
    max_retries = 3  # of a task whose process was killed
    retry_backoff = 1
    retry_backoff_max = 60
    retry_jitter = True


class MailTask(DatabaseTask):
    """Tries again while the mail server is away or busy too, for some minutes."""

    autoretry_for = (MailUnavailableError, *DATABASE_AWAY)
    retry_kwargs: ClassVar = {"max_retries": 8}
    retry_backoff = 2
    retry_backoff_max = 300
