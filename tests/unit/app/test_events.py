from __future__ import annotations

import subprocess
import sys
from uuid import UUID, uuid4, uuid5

import pytest

from app import events
from app.celery import app
from app.db import transaction
from app.events import PostPublished, UserRegistered, subscriber

EVENT = str(uuid4())


@pytest.fixture
def seen(monkeypatch):
    """Nobody listens yet; whoever does in this test notes here what it was told."""
    monkeypatch.setattr(events, "_subscribers", type(events._subscribers)(list))
    noted = []
    before = set(app.tasks)
    yield noted
    for name in set(app.tasks) - before:
        app.tasks.unregister(name)


def dispatch(event="PostPublished", **fields):
    return events.dispatch.apply(args=(event, fields), task_id=EVENT).get()


def test_every_subscriber_is_told_with_the_fields_of_the_event(seen):
    @subscriber(PostPublished, name="one", shared=False)
    def one(post_id):
        seen.append(("one", post_id))

    @subscriber(PostPublished, name="two", shared=False, bind=True)
    def two(self, post_id):
        seen.append(("two", post_id))

    @subscriber(UserRegistered, name="other", shared=False)
    def other(user_id):
        seen.append(("other", user_id))

    dispatch(post_id="7")
    assert seen == [("one", "7"), ("two", "7")]


def test_one_that_fails_stops_no_other(seen):
    @subscriber(PostPublished, name="broken", shared=False)
    def broken(post_id):
        raise ZeroDivisionError

    @subscriber(PostPublished, name="whole", shared=False)
    def whole(post_id):
        seen.append(post_id)

    dispatch(post_id="7")
    assert seen == ["7"]


def test_delivered_twice_it_publishes_the_same_ids(seen):
    @subscriber(PostPublished, name="one", shared=False, bind=True)
    def one(self, post_id):
        seen.append(self.request.id)

    assert dispatch(post_id="7") == dispatch(post_id="7") == {"one": str(uuid5(UUID(EVENT), "one"))}
    assert seen == [str(uuid5(UUID(EVENT), "one"))] * 2


def test_one_that_does_not_take_the_fields_is_refused_when_it_is_loaded(seen):
    with pytest.raises(TypeError, match="missing a required argument: 'user_id'"):

        @subscriber(PostPublished)
        def wrong(user_id): ...


def test_an_event_without_subscribers_is_none(seen):
    assert dispatch(post_id="7") == {}


def test_an_event_that_nobody_knows_is_an_error():
    with pytest.raises(events.UnknownEventError, match=r"'PostEaten'.*older"):
        dispatch("PostEaten", post_id="7")


def test_it_is_published_if_and_only_if_the_transaction_commits(database, quiet, happened):
    def change(error):
        with transaction() as session:
            events.publish(session, PostPublished("7"))
            if error:
                raise error

    with pytest.raises(ZeroDivisionError):
        change(ZeroDivisionError())
    assert happened() == []
    change(None)
    assert happened() == [("PostPublished", {"post_id": "7"})]


def test_the_subscribers_of_this_app():
    found = {
        event: {task.name.removeprefix("app.tasks.") for task in tasks} for event, tasks in events._subscribers.items()
    }
    assert found == {
        "UserRegistered": {"notices.welcome"},
        "UserRenamed": {"search.index_posts_of"},
        "PostPublished": {"notices.announce_post", "search.index_post", "ai.check_facts"},
        "PostChecked": {"notices.tell_verdict"},
        "PostLiked": {"notices.congratulate"},
    }
    assert set(found) == events.NAMES


def test_the_api_knows_no_subscriber():
    code = "import sys, app.api.main; print([name for name in sys.modules if name.startswith('app.tasks.')])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
