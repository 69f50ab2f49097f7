"""Many small pieces of work in few messages: `chunks` writes the search index anew, `map` an author's part of it."""

from __future__ import annotations

import pytest

from tests.integration.processes import PHOTO

SOME = 300  # posts; five rounds of 10 chunks of 6
PUT = """
INSERT INTO posts (id, user_id, body, created_at, published_at)
SELECT gen_random_uuid(), :author, 'Zugunruhe of number ' || n, now(), now() FROM generate_series(1, :count) n
"""


@pytest.fixture
def found(service):
    return lambda words: service.api.get("/search", params={"q": words, "limit": 100}).json()["posts"]


def test_row_08_chunks_write_the_index_anew_and_tell_how_far_they_are(service, user, rows, found):
    ada = user(name="Chunky Bacon")
    rows(PUT, author=ada["id"], count=SOME)
    assert found("chunky zugunruhe") == []

    started = service.api.post("/search/reindex", json={"chunk": 6})
    assert started.status_code == 202, started.text
    seen = service.follow(started.json()["task_id"])

    percents = [answer["progress"]["percent"] for answer in seen if answer["state"] == "PROGRESS"]
    assert seen[-1]["state"] == "SUCCESS" and seen[-1]["result"]["posts"] >= SOME
    assert len(set(percents)) >= 2 and percents == sorted(percents)
    assert len(found("chunky zugunruhe")) == 100
    assert rows("SELECT count(*) FROM search_entries WHERE text LIKE 'Chunky%'") == [(SOME,)]
    rows("DELETE FROM posts WHERE user_id = :author", author=ada["id"])


def test_row_08_a_map_follows_an_author_to_another_name(service, broker, user, post, found, eventually):
    ada = user(name="Before Marriage")
    for n in range(3):
        post(ada, f"Zugunruhe {broker} of number {n}")
    eventually(lambda: len(found(f"marriage {broker} zugunruhe")) == 3, "the posts under the old name")

    assert service.api.patch(f"/users/{ada['id']}", json={"name": "Thereafter"}).status_code == 200

    eventually(lambda: len(found(f"thereafter {broker} zugunruhe")) == 3, "the posts under the new name")
    assert found(f"marriage {broker} zugunruhe") == []


def test_row_08_an_error_callback_fails_a_truncated_picture_with_a_reason(service, eventually):
    accepted = service.upload(PHOTO.read_bytes()[:60_000])
    seen = service.follow(accepted["task_id"])
    assert seen[-1]["state"] == "FAILURE"
    assert "truncated" in seen[-1]["error"] and "Traceback" not in seen[-1]["error"]

    def failed():
        picture = service.api.get(accepted["image"]).json()
        return picture["state"] == "failed" and picture

    picture = eventually(failed, "the error callback, which runs when the failure was told")
    assert "truncated" in picture["error"]
    assert picture["thumbnails"] == []
