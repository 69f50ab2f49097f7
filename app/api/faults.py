"""Failure on demand, for tests and rehearsals; off unless FAULTS=on. See `app/tasks/faults.py`."""

from typing import Annotated, Literal
from uuid import UUID

from celery.canvas import Signature
from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import distinct, func, select

from app import priority, submit
from app.api.errors import ApiError, broker_away, not_found
from app.api.fields import Request
from app.celery import app
from app.db import transaction
from app.models import FaultBatch, FaultEvent
from app.settings import settings
from celery_runtime.queues import load_queues

NAMES = ("sleep", "fail", "crash", "hog_memory", "count")


def _only_when_on() -> None:
    if settings().faults == "off":
        raise ApiError(404, "Faults are off here.", "Set FAULTS=on, never in production, and start the API again.")


def _known_queue(name: str) -> str:
    queues = load_queues(settings().queues_file)
    if name not in queues:
        raise ValueError(f"there is no such queue; queues.toml has {', '.join(queues)}")
    return name


router = APIRouter(prefix="/faults", tags=["faults"], dependencies=[Depends(_only_when_on)])


class Fault(Request):
    count: Annotated[int, Field(ge=1, le=100_000, strict=True, examples=[100])] = 1
    seconds: Annotated[float, Field(ge=0, le=3600, strict=True, allow_inf_nan=False, examples=[0.5])] = 0
    queue: Annotated[str, AfterValidator(_known_queue), Field(examples=["default"])] = "default"
    priority: Annotated[Literal["normal", "low"], Field(description="Within the queue.")] = "normal"
    countdown: Annotated[
        float,
        Field(
            ge=0, le=3600, strict=True, allow_inf_nan=False, description="Seconds before it may start.", examples=[2]
        ),
    ] = 0
    expires: Annotated[
        float | None,
        Field(gt=0, le=86_400, strict=True, allow_inf_nan=False, description="Seconds until it is too late to start."),
    ] = None


class FaultAnswer(BaseModel):
    batch: UUID
    accepted: int


class Ledger(BaseModel):
    """`lost` counts the tasks without an end, so those too that still wait or run; `doubled` the ends above one."""

    batch: UUID
    accepted: int
    started: int
    ended: int
    lost: int
    doubled: int


@router.post("/{name}", status_code=202, summary="Send tasks that fail on demand")
def create_faults(name: str, fault: Fault | None = None) -> FaultAnswer:
    if name not in NAMES:
        raise not_found("fault", name, f"Use one of {', '.join(NAMES)}.")
    fault = fault or Fault()
    batch = FaultBatch(name=name, queue=fault.queue, count=fault.count, seconds=fault.seconds)
    with transaction() as session:
        session.add(batch)
    accepted = 0
    try:
        accepted = submit.publish(_task(name, batch.id, n, fault) for n in range(fault.count))
    except submit.BrokerAwayError as cause:
        accepted = cause.accepted
        consequence = f"Batch {batch.id}: {accepted} of {fault.count} tasks were accepted."
        raise broker_away(cause, consequence, batch=str(batch.id), accepted=accepted) from cause
    finally:
        with transaction() as session:
            session.merge(FaultBatch(id=batch.id, accepted=accepted))
    return FaultAnswer(batch=batch.id, accepted=accepted)


@router.get("/ledger/{batch}", summary="What became of a batch")
def read_ledger(batch: UUID) -> Ledger:
    """Only accepted tasks count: one that ran although its publishing was not confirmed isn't in `accepted` either."""
    with transaction() as session:
        known = session.get(FaultBatch, batch)
        if known is None:
            raise not_found("batch", batch, "Use the batch of a POST /faults/...; ledgers are kept for a day.")
        rows = session.execute(
            select(FaultEvent.kind, func.count(), func.count(distinct(FaultEvent.n)))
            .where(FaultEvent.batch == batch, FaultEvent.n < known.accepted)
            .group_by(FaultEvent.kind)
        )
        events = {kind: (count, different) for kind, count, different in rows}
    started, (ended, different) = events.get("start", (0, 0))[0], events.get("end", (0, 0))
    return Ledger(
        batch=batch,
        accepted=known.accepted,
        started=started,
        ended=ended,
        lost=known.accepted - different,
        doubled=ended - different,
    )


def _task(name: str, batch: UUID, n: int, fault: Fault) -> Signature:
    options = {"queue": fault.queue, "priority": priority.LEVELS[fault.priority], "expires": fault.expires}
    args = [str(batch), n, fault.seconds]
    return app.signature(f"app.tasks.faults.{name}", args=args, countdown=fault.countdown or None, **options)
