"""Tell subscribers of their bills: when one is made, before it is due, when it is overdue, when it is paid.

Who is told is marked in the transaction that sends the mail's task: nobody is told twice, and nobody forgotten.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from celery.canvas import Signature
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import joinedload

from app import mail
from app.billing import REMIND_BEFORE, latest_date, local_date, money
from app.celery import app
from app.db import transaction
from app.models import Bill, User, now
from app.outbox import outbox
from app.tasks import DatabaseTask, MailTask

Kind = Literal["bill", "reminder", "overdue", "receipt"]

# Subject and text; `due` is a date, `amount` money.
TEXTS = {
    "bill": ("Your bill of {period}", "Please pay {amount} by {due}:\n/bills/{id}\n"),
    "reminder": ("Your bill is due on {due}", "Please remember to pay {amount} by {due}:\n/bills/{id}\n"),
    "overdue": ("Your bill is overdue", "{amount} was due on {due}. Please pay it now:\n/bills/{id}\n"),
    "receipt": ("Your receipt for {period}", "Thank you. We received {amount} for\n/bills/{id}\n"),
}
MOOT_ONCE_PAID = {"bill", "reminder", "overdue"}


@app.task(base=DatabaseTask)
def remind_of_due_bills() -> int:
    """Remind of bills that are due in REMIND_BEFORE or less, each once; returns how many.

    One that is overdue when this runs, after an outage, gets the alert alone.
    """
    return _tell_of("reminder", "reminded_at", REMIND_BEFORE, lambda due, today: today <= due <= today + REMIND_BEFORE)


@app.task(base=DatabaseTask)
def alert_of_overdue_bills() -> int:
    """Tell subscribers of bills whose last day to pay is over where they live, each once; returns how many."""
    return _tell_of("overdue", "alerted_at", timedelta(0), lambda due, today: due < today)


@app.task(base=MailTask)
def send_notice(kind: Kind, bill_id: str) -> str | None:
    """Mail a subscriber about a bill; returns the address, None when it was paid meanwhile.

    Delivered twice, it sends the mail twice, under the same Message-ID.
    """
    with transaction() as session:
        bill = session.get_one(Bill, UUID(bill_id))
        recipient = session.get_one(User, bill.user_id).email
    if bill.paid_at and kind in MOOT_ONCE_PAID:
        return None
    facts = {"id": bill.id, "period": bill.period, "due": bill.due_on, "amount": money(bill.amount_cents)}
    subject, text = (part.format_map(facts) for part in TEXTS[kind])
    mail.send(recipient, subject, text, mail.message_id(f"{kind}-{bill_id}"))
    return recipient


def notice(kind: Kind, bill_id: UUID) -> Signature:
    """The task that mails about a bill, to be sent with the transaction that is its reason."""
    return app.signature("app.tasks.reminders.send_notice", args=[kind, str(bill_id)])


def _tell_of(kind: Kind, mark: str, ahead: timedelta, is_time: Callable[[date, date], bool]) -> int:
    """Send a notice of each unpaid bill without `mark` for which `is_time(due, today)` holds where its payer lives."""
    moment = now()
    may_be_time = Bill.due_on <= latest_date(moment) + ahead
    with transaction() as session:
        bills = session.scalars(select(Bill.id).where(_untold(mark), may_be_time)).all()
    return sum(_tell(kind, mark, bill_id, moment, is_time) for bill_id in bills)


def _tell(kind: Kind, mark: str, bill_id: UUID, moment: datetime, is_time: Callable[[date, date], bool]) -> bool:
    wanted = select(Bill).where(Bill.id == bill_id, _untold(mark)).options(joinedload(Bill.subscription))
    with transaction() as session:
        bill = session.scalar(wanted.with_for_update(of=Bill, skip_locked=True))
        if bill is None or not is_time(bill.due_on, local_date(moment, bill.subscription.zone)):
            return False
        setattr(bill, mark, moment)
        outbox.send(session, notice(kind, bill.id))
        return True


def _untold(mark: str) -> ColumnElement[bool]:
    return and_(Bill.paid_at.is_(None), getattr(Bill, mark).is_(None))
