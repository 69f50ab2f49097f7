"""Beat's schedule: what it sends and when, and a run by hand. It is changed with `celery-runtime schedule`."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from app import submit
from app.api.errors import ApiError, broker_away, problems, shown
from app.api.tasks import StartedTask, start
from app.celery import app
from celery_runtime.schedule.changes import Schedule, UnknownEntryError
from celery_runtime.schedule.entries import Entry
from celery_runtime.schedule.zones import describe

router = APIRouter(prefix="/schedule", tags=["schedule"])

AWAY = "Redis or the broker does not answer."
NOT_SENT = "Nothing was sent."
Name = Annotated[str, Path(description="Of an entry of GET /schedule.", examples=["daily-report"], max_length=100)]


class EntryAnswer(BaseModel):
    name: str = Field(examples=["daily-report"])
    task: str = Field(examples=["app.tasks.reports.daily_report"])
    schedule: str = Field(
        description="An interval, or a crontab and its time zone.", examples=["0 7 * * * Europe/Berlin"]
    )
    expires: float | None = Field(
        description="Seconds after which a run that no worker took is void.", examples=[43200]
    )
    enabled: bool
    changed: bool = Field(description="Whether an operator changed it; otherwise it is as in the code.")
    last_run: datetime | None
    next_run: datetime | None = Field(description="Null for an entry that is disabled.")


@router.get("", summary="What Beat sends, and when", responses=problems(_503=AWAY))
def list_schedule() -> list[EntryAnswer]:
    try:
        return submit.ask(_read)
    except submit.BrokerAwayError as cause:
        raise broker_away(cause, "The schedule is kept there.") from cause


@router.post(
    "/{entry}/run",
    status_code=202,
    summary="Run an entry's task now",
    responses=problems(_404="There is no such entry.", _503=AWAY),
)
def run_entry(entry: Name) -> StartedTask:
    """Beat's own runs go on as before. The tasks do what is due when they run: one more does no harm."""
    try:
        task = submit.ask(lambda: schedule().task(schedule().find(entry)))
    except UnknownEntryError as error:
        raise ApiError(404, f"There is no entry {shown(entry)}.", f"Use one of {', '.join(error.known)}.") from None
    except submit.BrokerAwayError as cause:
        raise broker_away(cause, NOT_SENT) from cause
    return start(task, NOT_SENT)


@cache
def schedule() -> Schedule:
    return Schedule(app)


def _read() -> list[EntryAnswer]:
    changed, now = schedule().changed(), datetime.now(UTC)
    return [_answer(entry, entry.name in changed, now) for entry in schedule().entries()]


def _answer(entry: Entry, changed: bool, now: datetime) -> EntryAnswer:
    return EntryAnswer(
        name=entry.name,
        task=entry.task,
        schedule=describe(entry.schedule),
        expires=entry.options.get("expires"),
        enabled=entry.enabled,
        changed=changed,
        last_run=entry.last_run,
        next_run=entry.next_run(now),
    )
