"""Subscriptions, and the bills that follow from them."""

from datetime import date, datetime
from functools import cache
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.api import users
from app.api.errors import ApiError, not_found, problems
from app.api.fields import Request, Text
from app.api.tasks import StartedTask, start
from app.billing import PRICES, first_renewal, local_date
from app.celery import app
from app.db import transaction
from app.models import Bill, Subscription, now

router = APIRouter(tags=["bills"])

NO_USER, NO_BILL = "There is no such user.", "There is no such bill."
AWAY = "The database or the broker does not answer."


@cache
def _zones() -> set[str]:
    return available_timezones()


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("it is no time zone like Europe/Berlin or UTC")
    return name


class NewSubscription(Request):
    plan: Annotated[Literal["basic", "pro"], Field(examples=["basic"])]
    zone: Annotated[Text, Field(max_length=64, examples=["Europe/Berlin"]), AfterValidator(_known_zone)]
    renews_on: Annotated[
        int | None,
        Field(ge=1, le=31, strict=True, examples=[31], description="The day of the month; by default that of today."),
    ] = None


class SubscriptionAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    plan: str = Field(examples=["basic"])
    price_cents: int = Field(examples=[500])
    zone: str = Field(examples=["Europe/Berlin"])
    renews_on: int = Field(examples=[31])
    next_renewal: date = Field(examples=["2027-02-28"])
    charged_cents: int = Field(description="All that was ever charged.", examples=[1500])
    created_at: datetime


class BillAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: UUID
    period: date = Field(description="The day on which the month that is paid for began.", examples=["2027-01-31"])
    amount_cents: int = Field(examples=[500])
    due_on: date = Field(examples=["2027-02-14"])
    created_at: datetime
    paid_at: datetime | None


@router.post(
    "/users/{user_id}/subscription",
    status_code=201,
    summary="Subscribe to a plan",
    responses=problems(_404=NO_USER, _409="The user has a subscription already.", _503=AWAY),
)
def subscribe(user_id: UUID, new: NewSubscription) -> SubscriptionAnswer:
    """The first bill is made on the first such day of a month from today on, where the user lives."""
    today = local_date(now(), new.zone)
    day = new.renews_on or today.day
    subscription = Subscription(
        user_id=user_id,
        plan=new.plan,
        price_cents=PRICES[new.plan],
        zone=new.zone,
        renews_on=day,
        next_renewal=first_renewal(today, day),
    )
    try:
        with transaction() as session:
            users.find(session, user_id)
            session.add(subscription)
    except IntegrityError:
        raise ApiError(409, f"The user {user_id} has a subscription already.", "GET it at the same path.") from None
    return SubscriptionAnswer.model_validate(subscription)


@router.get(
    "/users/{user_id}/subscription",
    summary="A user's subscription",
    responses=problems(_404="The user has none.", _503=AWAY),
)
def read_subscription(user_id: UUID) -> SubscriptionAnswer:
    with transaction() as session:
        found = session.get(Subscription, user_id)
    if found is None:
        raise not_found("subscription of user", user_id, "Make one with POST at the same path.")
    return SubscriptionAnswer.model_validate(found)


@router.get(
    "/users/{user_id}/bills", summary="A user's bills, the newest first", responses=problems(_404=NO_USER, _503=AWAY)
)
def list_bills(user_id: UUID, limit: Annotated[int, Query(ge=1, le=100)] = 24) -> list[BillAnswer]:
    newest = select(Bill).where(Bill.user_id == user_id).order_by(Bill.period.desc()).limit(limit)
    with transaction() as session:
        users.find(session, user_id)
        return [BillAnswer.model_validate(bill) for bill in session.scalars(newest)]


@router.get("/bills/{bill_id}", summary="A bill", responses=problems(_404=NO_BILL, _503=AWAY))
def read_bill(bill_id: UUID) -> BillAnswer:
    with transaction() as session:
        return BillAnswer.model_validate(_find_bill(session, bill_id))


@router.post(
    "/bills/{bill_id}/pay",
    status_code=202,
    summary="Pay a bill",
    responses=problems(_404=NO_BILL, _409="It is paid already.", _503=AWAY),
)
def pay_bill(bill_id: UUID) -> StartedTask:
    """Asked twice before the first was done, it charges once all the same: the task's result says which of them did."""
    with transaction() as session:
        if paid_at := _find_bill(session, bill_id).paid_at:
            when = f"{paid_at:%Y-%m-%d %H:%M:%S} UTC"
            raise ApiError(409, f"The bill {bill_id} was paid at {when}.", "There is nothing to pay.")
    return start(app.signature("app.tasks.bills.charge_bill", args=[str(bill_id)]), "The bill was not paid.")


def _find_bill(session: Session, bill_id: UUID) -> Bill:
    bill = session.get(Bill, bill_id)
    if bill is None:
        raise not_found("bill", bill_id, "List a user's bills with GET /users/{id}/bills.")
    return bill
