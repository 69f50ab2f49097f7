"""Short texts, newest first: published now or later, liked, and checked for facts."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from app import events, likes, submit
from app.api.errors import ApiError, broker_away, not_found, problems
from app.api.fields import Request, Text
from app.celery import app
from app.db import transaction
from app.models import FactCheck, Post, User, now
from app.outbox import outbox

# A worker on Redis holds what is not due yet in its memory, a thousand tasks at most; and the later it is due, the more
# workers have had to hand it on. What is weeks away belongs into a table that Beat has somebody look through.
LATEST = timedelta(hours=24)
WAIT_FOR_LIKES = 2  # seconds; a post is worth more than the likes that wait
EXAMPLE = "9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11"
GONE = "There is no such post."
log = logging.getLogger(__name__)
router = APIRouter(prefix="/posts", tags=["posts"])


def _soon(value: datetime) -> datetime:
    if not now() < value <= now() + LATEST:
        raise ValueError(f"it is not within the next {LATEST // timedelta(hours=1)} hours")
    return value


class NewPost(Request):
    user_id: Annotated[UUID, Field(examples=[EXAMPLE])]
    body: Annotated[Text, Field(min_length=1, max_length=10_000, examples=["The engine weaves algebraic patterns."])]
    publish_at: Annotated[
        Annotated[AwareDatetime, AfterValidator(_soon)] | None,
        Field(description="When to publish it, at most 24 hours from now; at once without it.", examples=[None]),
    ] = None


class FactCheckAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    verdict: Literal["true", "false", "unverified"]
    confidence: float | None = Field(examples=[0.9])
    reason: str = Field(examples=["It is true that the Earth is round."])
    checked_at: datetime


class PostAnswer(BaseModel):
    """`fact_check` is null until there is a verdict, `published_at` until everybody sees the post."""

    id: UUID = Field(examples=[EXAMPLE])
    user_id: UUID
    body: str
    created_at: datetime
    publish_at: datetime | None
    published_at: datetime | None
    likes: int = Field(examples=[7])
    fact_check: FactCheckAnswer | None


class PostPage(BaseModel):
    """`next` is where older posts are, null on the last page."""

    posts: list[PostAnswer]
    next: str | None


class LikeAnswer(BaseModel):
    post: str = Field(description="Where its likes are shown, this one among them.", examples=[f"/posts/{EXAMPLE}"])


@router.post("", status_code=201, summary="Write a post", responses=problems(_404="There is no such user."))
def create_post(new: NewPost) -> PostAnswer:
    created = now()
    published = None if new.publish_at else created
    post = Post(
        user_id=new.user_id, body=new.body, created_at=created, publish_at=new.publish_at, published_at=published
    )
    with transaction() as session:
        if session.get(User, new.user_id) is None:
            raise not_found("user", new.user_id, "Create one with POST /users, and send its id as user_id.")
        session.add(post)
        session.flush()
        _publish(session, post)
    return _answer(post, 0, None)


@router.get("", summary="Read the newest posts", responses=problems(_404=GONE))
def list_posts(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[UUID | None, Query(description="The id of a post: only older ones are listed.")] = None,
) -> PostPage:
    wanted = select(Post).where(Post.published_at.is_not(None)).limit(limit + 1)
    wanted = wanted.order_by(Post.published_at.desc(), Post.id.desc())
    with transaction() as session:
        if before is not None:
            mark = _find(session.get(Post, before), before)
            if mark.published_at is None:
                raise not_found("published post", before, "Use the id of a post that is listed.")
            wanted = wanted.where(tuple_(Post.published_at, Post.id) < (mark.published_at, mark.id))
        found = session.scalars(wanted).all()
    page = answers(found[:limit])
    more = len(found) > limit
    return PostPage(posts=page, next=f"/posts?limit={limit}&before={page[-1].id}" if more else None)


@router.get(
    "/{post_id}", summary="Read a post, with its likes and what came of its fact check", responses=problems(_404=GONE)
)
def read_post(post_id: UUID) -> PostAnswer:
    with transaction() as session:
        post = _find(session.get(Post, post_id), post_id)
    return answers([post])[0]


@router.delete(
    "/{post_id}",
    status_code=204,
    summary="Call off a post that is not published yet",
    responses=problems(_404=GONE, _409="It is published."),
)
def call_off(post_id: UUID, later: BackgroundTasks) -> None:
    with transaction() as session:
        post = _find(session.get(Post, post_id, with_for_update={"of": Post}), post_id)
        if post.published_at:
            raise ApiError(
                409, f"Post {post_id} is published.", "Only a post that waits for its time can be called off."
            )
        session.delete(post)
    later.add_task(submit.revoke, str(post_id))  # saves a worker the trip; that there is no row is what counts


@router.post(
    "/{post_id}/likes",
    status_code=202,
    summary="Like a post",
    responses=problems(_404=GONE, _409="It is not published yet.", _503="Redis, where likes are counted, is away."),
)
def like(post_id: UUID) -> LikeAnswer:
    with transaction() as session:
        post = _find(session.get(Post, post_id), post_id)
    if post.published_at is None:
        raise ApiError(409, f"Post {post_id} is not published yet.", f"Ask again at {post.publish_at}.")
    try:
        submit.ask(lambda: likes.add(post_id))
    except submit.BrokerAwayError as cause:
        raise broker_away(cause, "The like may not be counted.") from cause
    return LikeAnswer(post=f"/posts/{post_id}")


def answers(posts: Sequence[Post]) -> list[PostAnswer]:
    """The posts as the API shows them, with their likes: those that wait in Redis too, while it answers."""
    ids = [post.id for post in posts]
    try:
        waiting = submit.ask(lambda: likes.waiting(ids), WAIT_FOR_LIKES) if ids else []
    except submit.BrokerAwayError as cause:
        log.warning("likes that wait are left out: %s", cause)
        waiting = []
    with transaction() as session:
        counts = likes.total(session, ids, waiting)
    return [_answer(post, counts[post.id], post.fact_check) for post in posts]


def _publish(session: Session, post: Post) -> None:
    """Now, or by a task that has the post's id as its own, so that it can be revoked."""
    if post.publish_at is None:
        events.publish(session, events.PostPublished(str(post.id)))
        return
    key = str(post.id)
    task = app.signature("app.tasks.posts.publish_post", args=[key], task_id=key, eta=post.publish_at)
    outbox.send(session, task)


def _answer(post: Post, count: int, check: FactCheck | None) -> PostAnswer:
    return PostAnswer(
        id=post.id,
        user_id=post.user_id,
        body=post.body,
        created_at=post.created_at,
        publish_at=post.publish_at,
        published_at=post.published_at,
        likes=count,
        fact_check=check and FactCheckAnswer.model_validate(check),
    )


def _find(post: Post | None, post_id: UUID) -> Post:
    if post is None:
        raise not_found("post", post_id, "List the posts with GET /posts.")
    return post
