"""A mail when a task fails for good that nobody waits for: what Beat sends, and what moves money.

Whoever uploaded a picture sees its failure; a backup that fails is noticed on the day when it is needed.
"""

import logging
from threading import Thread
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app.celery import app
from app.db import transaction
from app.models import now
from app.outbox import outbox
from app.progress import reason
from app.schedule import BEAT_SCHEDULE
from celery_runtime.tasks.effect import once
from celery_runtime.tasks.signals import task_gave_up

WATCHED = {entry["task"] for entry in BEAT_SCHEDULE.values()} | {"app.tasks.bills.charge_bill"}
log = logging.getLogger(__name__)


@task_gave_up.connect
def tell_owner(name: str, task_id: str, exception: BaseException, **_: Any) -> None:
    """In a thread: of a task that was killed the worker's loop tells, which must not wait for a database."""
    if name in WATCHED:
        Thread(target=send, args=(name, task_id, reason(exception)), name="alert", daemon=True).start()


def send(name: str, task_id: str, why: str) -> None:
    """Send one alert an hour for each task; the others are in the log and in the metrics."""
    try:
        with transaction() as session:
            if once(session, f"alert {name} {now():%Y-%m-%d %H}"):
                outbox.send(session, app.signature("app.tasks.reports.send_alert", args=[name, task_id, why]))
    except SQLAlchemyError as error:
        log.error("nobody was told that %s failed, because the database is away: %s", name, error)  # noqa: TRY400
