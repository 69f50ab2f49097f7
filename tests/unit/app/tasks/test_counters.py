from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app import likes
from app.db import transaction
from app.likes import Batch
from app.models import PostLikes
from app.tasks import counters


@pytest.fixture
def waiting(monkeypatch, database, quiet):
    """The batches that a flush takes, one after the other; the last is taken again until it is dropped."""
    batches = []
    monkeypatch.setattr(likes, "take", lambda: batches[0] if batches else None)
    monkeypatch.setattr(likes, "drop", lambda batch: batches.pop(0) if batches and batches[0].id == batch.id else None)
    return batches


def stored():
    with transaction() as session:
        return {str(row.post_id): row.count for row in session.query(PostLikes)}


def test_likes_are_added_to_those_that_are_there(waiting, happened):
    one, two = str(uuid4()), str(uuid4())
    waiting.append(Batch("a", {one: 2}))
    assert counters.flush_likes() == 2
    waiting.append(Batch("b", {one: 3, two: 1}))
    assert counters.flush_likes() == 4
    assert stored() == {one: 5, two: 1}
    told = {(fields["post_id"], fields["likes"], fields["new"]) for _, fields in happened()}
    assert told == {(one, 2, 2), (one, 5, 3), (two, 1, 1)}


def test_what_a_killed_flush_left_and_what_waits_are_added_in_one_run(waiting):
    post = str(uuid4())
    waiting += [Batch("left", {post: 1}), Batch("new", {post: 1}), Batch("later", {post: 1})]
    assert counters.flush_likes() == 2
    assert [batch.id for batch in waiting] == ["later"]


def test_a_batch_that_was_added_is_only_dropped(waiting, happened):
    post = str(uuid4())
    waiting.append(Batch("a", {post: 2}))
    counters.flush_likes()
    waiting.append(Batch("a", {post: 2}))
    assert counters.flush_likes() == 0
    assert stored() == {post: 2} and waiting == [] and len(happened()) == 1


def test_many_posts_are_added_together(waiting):
    posts = {str(uuid4()): n for n in range(1, 2501)}
    waiting.append(Batch("a", posts))
    assert counters.flush_likes() == sum(posts.values())
    assert stored() == posts


def test_a_batch_without_a_post_is_no_error(waiting):
    waiting.append(Batch("a", {}))
    assert counters.flush_likes() == 0 and waiting == []


def test_likes_are_those_stored_and_those_that_wait(waiting):
    one, two, three = uuid4(), uuid4(), uuid4()
    waiting.append(Batch("taken", {str(one): 5, str(two): 1}))
    counters.flush_likes()
    seen = [Batch("taken", {str(one): 5, str(two): 1}), Batch("new", {str(one): 2, str(three): 4})]
    with transaction() as session:
        assert likes.total(session, [one, two, three], seen) == {one: 7, two: 1, three: 4}
        assert likes.total(session, [one, UUID(int=0)], []) == {one: 5, UUID(int=0): 0}
