"""Short texts, newest first."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, tuple_

from app.api.errors import not_found
from app.api.fields import Request, Text
from app.celery import app
from app.db import transaction
from app.models import Post, User
from app.outbox import outbox

router = APIRouter(prefix="/posts", tags=["posts"])


class NewPost(Request):
    user_id: Annotated[UUID, Field(examples=["9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11"])]
    body: Annotated[Text, Field(min_length=1, max_length=10_000, examples=["The engine weaves algebraic patterns."])]


class PostAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: UUID
    body: str
    created_at: datetime


class PostPage(BaseModel):
    """`next` is where older posts are, null on the last page."""

    posts: list[PostAnswer]
    next: str | None


@router.post("", status_code=201)
def create_post(new: NewPost) -> PostAnswer:
    post = Post(user_id=new.user_id, body=new.body)
    with transaction() as session:
        if session.get(User, new.user_id) is None:
            raise not_found("user", new.user_id, "Create one with POST /users, and send its id as user_id.")
        session.add(post)
        session.flush()
        outbox.send(session, app.signature("app.tasks.posts.announce_post", args=[str(post.id)]))
    return PostAnswer.model_validate(post)


@router.get("")
def list_posts(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[UUID | None, Query(description="The id of a post: only older ones are listed.")] = None,
) -> PostPage:
    wanted = select(Post).order_by(Post.created_at.desc(), Post.id.desc()).limit(limit + 1)
    with transaction() as session:
        if before is not None:
            mark = _find(session.get(Post, before), before)
            wanted = wanted.where(tuple_(Post.created_at, Post.id) < (mark.created_at, mark.id))
        found = session.scalars(wanted).all()
    page = [PostAnswer.model_validate(post) for post in found[:limit]]
    more = len(found) > limit
    return PostPage(posts=page, next=f"/posts?limit={limit}&before={page[-1].id}" if more else None)


@router.get("/{post_id}")
def read_post(post_id: UUID) -> PostAnswer:
    with transaction() as session:
        return PostAnswer.model_validate(_find(session.get(Post, post_id), post_id))


def _find(post: Post | None, post_id: UUID) -> Post:
    if post is None:
        raise not_found("post", post_id, "List the posts with GET /posts.")
    return post
