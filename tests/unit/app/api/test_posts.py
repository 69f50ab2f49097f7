from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app import submit
from app.db import transaction
from app.models import FactCheck, Post, PostLikes


@pytest.fixture
def user(client):
    return client.post("/users", json={"email": "ada@example.org", "name": "Ada"}).json()["id"]


def post(client, user, body):
    return client.post("/posts", json={"user_id": user, "body": body})


def test_a_post_is_created_and_read(client, user):
    created = post(client, user, "Two lines,\nand a ❤.")
    assert created.status_code == 201
    assert created.json()["body"] == "Two lines,\nand a ❤."
    assert client.get(f"/posts/{created.json()['id']}").json() == created.json()


def test_posts_come_newest_first_a_page_at_a_time(client, user):
    for n in range(5):
        post(client, user, f"post {n}")
    seen, url = [], "/posts?limit=2"
    while url:
        page = client.get(url).json()
        assert len(page["posts"]) <= 2
        seen += [entry["body"] for entry in page["posts"]]
        url = page["next"]
    assert seen == ["post 4", "post 3", "post 2", "post 1", "post 0"]


def test_posts_of_the_same_moment_are_neither_skipped_nor_repeated(client, user, monkeypatch):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with transaction() as session:
        session.add_all(Post(user_id=UUID(user), body=str(n), published_at=moment) for n in range(5))
    seen, url = [], "/posts?limit=2"
    while url:
        page = client.get(url).json()
        seen += [entry["body"] for entry in page["posts"]]
        url = page["next"]
    assert sorted(seen) == ["0", "1", "2", "3", "4"]


def test_nobody_posts_nothing(client):
    assert client.get("/posts").json() == {"posts": [], "next": None}


@pytest.mark.parametrize("limit", ["0", "-1", "101", "many"])
def test_a_limit_that_is_none(client, limit):
    answer = client.get(f"/posts?limit={limit}")
    assert answer.status_code == 422 and f"limit = '{limit}'" in answer.json()["error"]


def test_a_post_needs_its_user(client):
    answer = post(client, "9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11", "from nobody")
    assert answer.status_code == 404 and "user" in answer.json()["error"]


@pytest.mark.parametrize("body", ["", "a\0b", "\ud800", "x" * 10_001, 7, None])
def test_a_body_that_cannot_be_stored(client, user, body):
    answer = client.post("/posts", content=json.dumps({"user_id": user, "body": body}))
    assert answer.status_code == 422 and answer.json()["error"].startswith("body = ")


def test_a_post_says_that_it_is_published_and_that_nobody_likes_it_yet(client, user, happened):
    created = post(client, user, "Hello").json()
    assert created["published_at"] == created["created_at"]
    assert (created["likes"], created["fact_check"], created["publish_at"]) == (0, None, None)
    assert happened()[-1] == ("PostPublished", {"post_id": created["id"]})


def test_a_post_shows_its_fact_check(client, user):
    created = post(client, user, "Hello").json()
    with transaction() as session:
        session.add(FactCheck(post_id=UUID(created["id"]), verdict="true", confidence=0.9, reason="So it is."))
    check = client.get(f"/posts/{created['id']}").json()["fact_check"]
    assert (check["verdict"], check["confidence"], check["reason"]) == ("true", 0.9, "So it is.")
    assert client.get("/posts").json()["posts"][0]["fact_check"] == check


def later(client, user, **ahead):
    return client.post(
        "/posts", json={"user_id": user, "body": "Later", "publish_at": str(datetime.now(UTC) + timedelta(**ahead))}
    )


def test_a_post_for_later_waits_in_a_task_of_its_own_id(client, user, sent):
    created = later(client, user, hours=2).json()
    assert created["published_at"] is None
    assert sent()[-1] == ("app.tasks.posts.publish_post", [created["id"]], {})
    assert client.get("/posts").json()["posts"] == []
    assert client.get(f"/posts/{created['id']}").json() == created


@pytest.mark.parametrize("ahead", [{"seconds": -1}, {"hours": 24, "minutes": 1}, {"days": 365_000}])
def test_a_time_that_is_past_or_too_far_ahead(client, user, ahead):
    answer = later(client, user, **ahead)
    assert answer.status_code == 422 and "it is not within the next 24 hours" in answer.json()["error"]


@pytest.mark.parametrize(
    "moment", ["tomorrow", "2026-01-01T00:00:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"]
)
def test_a_time_that_is_none(client, user, moment):
    answer = client.post("/posts", json={"user_id": user, "body": "Later", "publish_at": moment})
    assert answer.status_code == 422 and answer.json()["error"].startswith("publish_at = ")


def test_a_post_for_later_is_called_off(client, user, monkeypatch):
    revoked = []
    monkeypatch.setattr(submit, "revoke", revoked.append)
    created = later(client, user, hours=2).json()
    assert client.delete(f"/posts/{created['id']}").status_code == 204
    assert revoked == [created["id"]]
    assert (
        client.get(f"/posts/{created['id']}").status_code == client.delete(f"/posts/{created['id']}").status_code == 404
    )


def test_posts_before_one_that_nobody_sees(client, user):
    created = later(client, user, hours=2).json()
    assert client.get(f"/posts?before={created['id']}").status_code == 404


def test_a_post_that_is_published_is_not_called_off(client, user):
    created = post(client, user, "Now").json()
    answer = client.delete(f"/posts/{created['id']}")
    assert answer.status_code == 409 and "is published" in answer.json()["error"]
    assert client.get(f"/posts/{created['id']}").status_code == 200


def test_a_like_that_cannot_be_counted_is_refused(client, user):
    created = post(client, user, "Likeable").json()
    answer = client.post(f"/posts/{created['id']}/likes")
    assert answer.status_code == 503 and "may not be counted" in answer.json()["error"]


def test_likes_of_what_nobody_sees(client, user):
    assert client.post("/posts/9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11/likes").status_code == 404
    created = later(client, user, hours=1).json()
    assert client.post(f"/posts/{created['id']}/likes").status_code == 409


def test_without_redis_the_stored_likes_are_shown(client, user):
    created = post(client, user, "Liked").json()
    with transaction() as session:
        session.add(PostLikes(post_id=UUID(created["id"]), count=7))
    assert client.get(f"/posts/{created['id']}").json()["likes"] == 7
    assert client.get("/posts").json()["posts"][0]["likes"] == 7
