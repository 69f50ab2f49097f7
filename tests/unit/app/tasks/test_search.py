"""On SQLite; tests/integration/patterns has PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError

from app import search
from app.db import transaction
from app.models import SearchEntry, User, now
from app.tasks import search as tasks


def find(words, limit=20):
    with transaction() as session:
        return [str(post.id) for post in search.find(session, words, limit)]


def entries():
    with transaction() as session:
        return {str(entry.post_id): entry.text for entry in session.query(SearchEntry)}


def test_a_post_is_found_by_every_word_in_it_and_by_its_author(posted):
    post_id = posted("The engine weaves 100 % algebraic patterns.")
    tasks.index_post(post_id)
    for words in ("engine", "PATTERNS engine", "ada", "lovelace 100 %", "weaves 100"):
        assert find(words) == [post_id], words
    for words in ("loom", "engine loom", "%weaves", "e_gine", "' OR 1=1 --"):
        assert find(words) == [], words


def test_the_newest_come_first_and_no_more_than_asked_for(posted):
    ids = [posted(f"engine {n}", published_at=now() - timedelta(hours=n)) for n in range(5)]
    for post_id in ids:
        tasks.index_post(post_id)
    assert find("engine", 3) == ids[:3]


def test_a_post_is_not_found_before_it_is_published(posted):
    tasks.index_post(posted(published_at=None))
    assert entries() == {}


def test_an_entry_follows_its_post(posted):
    post_id = posted("First.")
    tasks.index_post(post_id)
    with transaction() as session:
        session.query(User).update({"name": "Ada King"})
    tasks.index_post(post_id)
    assert entries() == {post_id: "Ada King\nFirst."}


@pytest.mark.parametrize("count", [0, 1, 3, 25])  # none, map, map, and two rounds and a half of chunks
def test_everything_is_written_anew(posted, monkeypatch, count):
    monkeypatch.setattr(tasks, "ROUND", 5)
    ids = {posted(f"post {n}") for n in range(count)}
    for post_id in list(ids)[:2]:
        tasks.index_post(post_id)
    with transaction() as session:
        session.query(SearchEntry).update({"text": "old"})

    result = tasks.reindex.apply(kwargs={"chunk": 2 if count > 3 else 3})
    assert result.get() == {"posts": count}
    assert set(entries()) == ids and "old" not in entries().values()


def test_another_name_changes_all_posts_of_an_author_and_no_other(posted, author):
    mine, entry = posted("Mine."), posted("Theirs.")
    for post_id in (mine, entry):
        tasks.index_post(post_id)
    with transaction() as session:
        bob = User(email="bob@example.org", name="Bob")
        session.add(bob)
        session.flush()
        session.execute(tasks.update(tasks.Post).where(tasks.Post.id == UUID(entry)).values(user_id=bob.id))
        session.query(SearchEntry).update({"text": "old"})
    tasks.index_posts_of.apply(args=(str(author.id),)).get()
    assert entries() == {mine: "Ada Lovelace\nMine.", entry: "old"}


def test_a_database_that_goes_away_under_a_chunk_costs_a_round(posted, monkeypatch):
    ids = [posted(f"post {n}") for n in range(4)]
    index, failures = search.index, [OperationalError("", {}, Exception("away"))] * 3

    def sometimes(session, post_id):
        if failures:
            raise failures.pop()
        index(session, post_id)

    monkeypatch.setattr(search, "index", sometimes)
    result = tasks.reindex.apply(kwargs={"chunk": 2})
    assert result.get() == {"posts": 4}
    assert set(entries()) == set(ids)


def test_rounds_that_come_to_nothing_end(posted, monkeypatch):
    posted()

    def never(session, post_id):
        raise OperationalError("", {}, Exception("away"))

    monkeypatch.setattr(search, "index", never)
    result = tasks.reindex.apply()
    assert isinstance(result.result, tasks.StalledError)
    assert "1 posts are outdated after 10 more rounds" in str(result.result)
