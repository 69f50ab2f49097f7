"""Find posts, and write the index anew."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app import priority, search
from app.api.errors import problems
from app.api.fields import Line, Request
from app.api.posts import PostAnswer, answers
from app.api.tasks import StartedTask, start
from app.celery import app
from app.db import transaction

router = APIRouter(prefix="/search", tags=["search"])


class Found(BaseModel):
    posts: list[PostAnswer]


class Reindex(Request):
    chunk: Annotated[int, Field(ge=1, le=1000, strict=True, description="Posts in a message.", examples=[200])] = 200


@router.get("", summary="Find posts by what they say or who wrote them, the best first")
def find(
    q: Annotated[
        Line,
        Query(
            max_length=200, description='"Quotes", or and -word have their usual meaning.', examples=["patterns -rain"]
        ),
    ],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Found:
    with transaction() as session:
        found = search.find(session, q, limit)
    return Found(posts=answers(found))


@router.post(
    "/reindex",
    status_code=202,
    summary="Write the whole index anew, behind everything else in the queue",
    responses=problems(_503="The broker is away; nothing was started."),
)
def reindex(wanted: Reindex | None = None) -> StartedTask:
    task = app.signature("app.tasks.search.reindex", args=[(wanted or Reindex()).chunk], priority=priority.LOW)
    return start(task, "The index was left as it is.")
