"""Bills: one for each renewal of a subscription, made and charged exactly once, whatever runs twice or not at all."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.billing import TIME_TO_PAY, due_renewals, latest_date, local_date
from app.celery import app
from app.db import insert, transaction
from app.models import Bill, Subscription, now
from app.outbox import outbox
from app.tasks import DatabaseTask
from app.tasks.reminders import notice
from celery_runtime.tasks.effect import once

CHUNK = 100  # subscriptions a transaction, so that no row is locked for long and a killed run keeps what it did


@app.task(base=DatabaseTask)
def renew_subscriptions() -> int:
    """Make the bill of every renewal that is due where its subscriber lives; returns how many.

    A run that was missed costs nothing: the next one makes what is missing. Of two at the same time each takes what
    the other has not locked.
    """
    moment = now()
    with transaction() as session:
        due = select(Subscription.user_id).where(Subscription.next_renewal <= latest_date(moment))
        users = session.scalars(due).all()
    return sum(_renew(chunk, moment) for chunk in _chunks(users))


@app.task(base=DatabaseTask)
def charge_bill(bill_id: str) -> dict[str, Any]:
    """Charge a bill; `charged` is whether this delivery of the task did it. The receipt is sent if and only if so."""
    with transaction() as session:
        bill = session.get_one(Bill, UUID(bill_id))
        charged = once(session, f"charge bill {bill_id}")
        if charged:
            _add_charge(session, bill)
            outbox.send(session, notice("receipt", bill.id))
        return {"bill": f"/bills/{bill.id}", "amount_cents": bill.amount_cents, "charged": charged}


def _chunks(users: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (users[start : start + CHUNK] for start in range(0, len(users), CHUNK))


def _renew(users: Sequence[UUID], moment: datetime) -> int:
    locked = select(Subscription).where(Subscription.user_id.in_(users)).with_for_update(skip_locked=True)
    with transaction() as session:
        return sum(_make_bills(session, subscription, moment) for subscription in session.scalars(locked).all())


def _make_bills(session: Session, subscription: Subscription, moment: datetime) -> int:
    today = local_date(moment, subscription.zone)
    due, subscription.next_renewal = due_renewals(subscription.next_renewal, subscription.renews_on, today)
    made = [_make_bill(session, subscription, period, today) for period in due]
    return sum(made)


def _make_bill(session: Session, subscription: Subscription, period: date, today: date) -> bool:
    """Whether the bill is new: its subscription knows of those that are made, and the table takes none twice."""
    bill = {
        "id": uuid4(),
        "user_id": subscription.user_id,
        "period": period,
        "amount_cents": subscription.price_cents,
        "due_on": today + TIME_TO_PAY,  # from the day it is made: a late bill is not overdue at once
    }
    new = insert(session, Bill).values(bill).on_conflict_do_nothing().returning(Bill.id)
    if session.scalar(new) is None:
        return False
    outbox.send(session, notice("bill", bill["id"]))
    return True


def _add_charge(session: Session, bill: Bill) -> None:
    """To a total, which a second time would falsify."""
    total = Subscription.charged_cents + bill.amount_cents
    session.execute(update(Subscription).where(Subscription.user_id == bill.user_id).values(charged_cents=total))
    bill.paid_at = now()
