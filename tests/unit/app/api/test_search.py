from __future__ import annotations

import pytest

from app.celery import app
from app.tasks.search import index_post


def test_posts_are_found(client, posted):
    post_id = posted("The engine weaves algebraic patterns.")
    index_post(post_id)
    (found,) = client.get("/search", params={"q": " engine "}).json()["posts"]
    assert found == client.get(f"/posts/{post_id}").json()
    assert client.get("/search", params={"q": "loom"}).json() == {"posts": []}


@pytest.mark.parametrize("words", ["", "  ", "a\0b", "x" * 201, "a\nb"])
def test_words_that_are_none(client, words):
    answer = client.get("/search", params={"q": words})
    assert answer.status_code == 422 and answer.json()["error"].startswith("q = ")


@pytest.mark.parametrize(
    "words", ["❤", "%", "_", "\\", "'", '"', "& | ! ( ) <-> :*", "\u202e", "\U0010ffff", "or", "-"]
)
def test_words_that_are_odd(client, posted, words):
    posted()
    assert client.get("/search", params={"q": words}).status_code in (200, 422)


def test_the_index_is_written_anew_by_a_task_that_can_be_followed(client, posted):
    posted()
    started = client.post("/search/reindex", json={"chunk": 5})
    assert started.status_code == 202
    assert client.get(started.json()["task"]).json()["state"] == "SUCCESS"


def test_no_body_means_chunks_of_two_hundred(client, queued):
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        app.amqp.queues["default"](channel).declare()
        channel.queue_purge("default")
        assert client.post("/search/reindex").status_code == 202
        message = channel._get("default")
    assert message["headers"]["argsrepr"] == "(200,)" and message["properties"]["priority"] == 9


@pytest.mark.parametrize("chunk", [0, 1001, "many", 1.5])
def test_a_chunk_that_is_none(client, chunk):
    answer = client.post("/search/reindex", json={"chunk": chunk})
    assert answer.status_code == 422 and answer.json()["error"].startswith("chunk = ")
