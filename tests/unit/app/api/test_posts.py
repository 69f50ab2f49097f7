from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.db import transaction
from app.models import Post


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
        session.add_all(Post(user_id=UUID(user), body=str(n), created_at=moment) for n in range(5))
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
