"""Whether this process serves, and on request whether everything does that its answers depend on.

The plain question asks neither broker nor database: restarting the API would cure neither. The deep one is for people
and for what watches the system as a whole; it never takes longer than 2 s.
"""

from functools import cache
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from app.celery import app
from app.db import transaction
from app.models import User
from app.settings import settings
from celery_runtime import deep_health
from celery_runtime.consumers import QueueState
from celery_runtime.deep_health import Answer, Check
from celery_runtime.queues import Queue, load_queues

WITHIN = 1.2  # seconds; with what surrounds it below the 2 that are promised
TICKS_EVERY = 20  # seconds: four of Beat's longest pauses

router = APIRouter(tags=["operation"])


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Part(BaseModel):
    ok: bool
    seconds: Annotated[float, Field(description="Until it answered.", examples=[0.004])]


class BeatPart(Part):
    last_tick_seconds: Annotated[float | None, Field(description="Since its last tick.", examples=[3.2])]


class QueuePart(BaseModel):
    ok: bool
    consumers: Annotated[int, Field(examples=[1])]
    waiting: Annotated[int, Field(description="Messages that no worker has taken.", examples=[0])]
    dead_letters: Annotated[int, Field(description="See `celery-runtime dead-letters`.", examples=[0])]


class Health(BaseModel):
    """`degraded`: everything works, but somebody should look at `problems`. `failing` comes with status 503."""

    status: Literal["ok", "degraded", "failing"]
    problems: Annotated[list[str], Field(examples=[["queue media: 3 messages wait, and no worker consumes it"]])]
    broker: Part
    results: Annotated[Part, Field(description="Redis: results, locks and the schedule.")]
    database: Part
    beat: BeatPart
    queues: dict[str, QueuePart]


@router.get("/healthz", summary="Is it up? With deep=1: does everything work?", responses={503: {"model": Health}})
async def healthz(
    response: Response,
    deep: Annotated[bool, Query(description="Ask broker, database, result store, workers and Beat too.")] = False,
) -> Alive | Health:
    if not deep:
        return Alive()
    health = _judged(await deep_health.ask(_checks(), WITHIN))
    response.status_code = 503 if health.status == "failing" else 200
    response.headers["Cache-Control"] = "no-store"
    return health


@cache
def _checks() -> dict[str, Check]:
    names = list(_queues())
    return {
        "broker": Check("broker", lambda: deep_health.queues(app, names)),
        "results": Check("results", _ask_results),
        "database": Check("database", _ask_database),
        "beat": Check("beat", lambda: deep_health.last_tick(app)),
    }


@cache
def _queues() -> dict[str, Queue]:
    return load_queues(settings().queues_file)


def _ask_results() -> None:
    app.backend.client.ping()


def _ask_database() -> None:
    with transaction() as session:
        session.scalar(select(User.id).limit(1))  # of a table: a database without its schema serves nobody


def _judged(answers: dict[str, Answer]) -> Health:
    failures = [f"{name}: {answer.failure}" for name, answer in answers.items() if answer.failure]
    states: dict[str, QueueState] = answers["broker"].value or {}
    queues = {name: _queue(_queues()[name], state) for name, state in states.items()}
    failures += [f"queue {name}: {_missing(queue)}" for name, queue in queues.items() if not queue.ok]
    tick = answers["beat"].value
    beats = tick is not None and tick <= TICKS_EVERY
    if not beats and not answers["beat"].failure:
        failures.append("beat: " + ("none runs" if tick is None else f"its last tick was {tick:.0f} s ago"))
    parked = [f"queue {name}: dead letters: {each.dead_letters}" for name, each in queues.items() if each.dead_letters]
    return Health(
        status="failing" if failures else "degraded" if parked else "ok",
        problems=failures + parked,
        broker=_part(answers["broker"]),
        results=_part(answers["results"]),
        database=_part(answers["database"]),
        beat=BeatPart(ok=beats, seconds=_rounded(answers["beat"]), last_tick_seconds=tick and round(tick, 1)),
        queues=queues,
    )


def _queue(queue: Queue, state: QueueState) -> QueuePart:
    """One that may scale to zero needs a worker only while something waits."""
    served = state.consumers > 0 or (queue.scale.min == 0 and state.waiting == 0)
    return QueuePart(ok=served, **state._asdict())


def _missing(queue: QueuePart) -> str:
    waiting = f"{queue.waiting} messages wait, and " if queue.waiting else ""
    return f"{waiting}no worker consumes it"


def _part(answer: Answer) -> Part:
    return Part(ok=answer.failure is None, seconds=_rounded(answer))


def _rounded(answer: Answer) -> float:
    return round(answer.seconds, 3)
