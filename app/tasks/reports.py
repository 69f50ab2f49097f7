"""Mail for whoever runs the service: what happened yesterday, and what failed with nobody waiting for its answer."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from app import mail
from app.billing import local_date, money
from app.celery import app
from app.db import transaction
from app.models import Bill, Image, Post, User, now
from app.schedule import OFFICE
from app.settings import settings
from app.tasks import MailTask


@app.task(base=MailTask)
def daily_report() -> dict[str, Any]:
    """Mail what happened on the day before, by the calendar of OFFICE; returns the figures.

    Run again on the same day, it sends the mail again, under the same Message-ID.
    """
    day = local_date(now(), OFFICE) - timedelta(days=1)
    with transaction() as session:
        figures = _figures(session, day)
    text = "".join(f"{name}: {value}\n" for name, value in figures.items())
    mail.send(settings().mail_to, f"Report of {day}", text, mail.message_id(f"report-{day}"))
    return {"day": str(day), **figures}


@app.task(base=MailTask)
def send_alert(name: str, task_id: str, reason: str) -> None:
    """Mail that a task failed for good; `app/alerts.py` says which."""
    text = f"The task {name} failed and is not tried again: {reason}\n/tasks/{task_id}\n"
    mail.send(settings().mail_to, f"Failed: {name}", text, mail.message_id(f"alert-{task_id}"))


def _figures(session: Session, day: date) -> dict[str, Any]:
    count = func.count
    new = {"users": User, "posts": Post, "pictures": Image, "bills": Bill}
    figures: dict[str, Any] = {
        name: session.scalar(select(count(model.id)).where(_on(model.created_at, day))) for name, model in new.items()
    }
    paid = session.scalar(select(func.coalesce(func.sum(Bill.amount_cents), 0)).where(_on(Bill.paid_at, day)))
    overdue = session.scalar(select(count(Bill.id)).where(Bill.paid_at.is_(None), Bill.due_on < day))
    return figures | {"paid": money(int(paid or 0)), "overdue bills": overdue}


def _on(column: Any, day: date) -> ColumnElement[bool]:
    """Between the two midnights of a day, which has 23 or 25 hours when the clocks change."""
    zone = ZoneInfo(OFFICE)
    midnight, next_midnight = (datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1)))
    return and_(column >= midnight, column < next_midnight)
