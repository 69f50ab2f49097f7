from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from app.db import transaction
from app.models import Post, now
from app.tasks.posts import publish_post


def published_at(post_id):
    with transaction() as session:
        return session.get_one(Post, UUID(post_id)).published_at


def test_a_post_is_published_once_however_often_it_is_delivered(posted, happened):
    post_id = posted(publish_at=now(), published_at=None)
    assert publish_post(post_id) == f"/posts/{post_id}"
    first = published_at(post_id)
    publish_post(post_id)
    assert published_at(post_id) == first
    assert happened() == [("PostPublished", {"post_id": post_id})]


def test_a_post_that_was_called_off_is_none(database, happened):
    assert publish_post(str(uuid4())) is None
    assert happened() == []


def test_one_that_comes_a_day_late_is_published_all_the_same(posted):
    post_id = posted(publish_at=now() - timedelta(days=1), published_at=None)
    publish_post(post_id)
    assert now() - published_at(post_id) < timedelta(minutes=1)
