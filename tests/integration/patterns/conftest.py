"""What the tests of the patterns stand on: the whole app on one real broker, and ways to ask it and to look behind it.

One file for each row of docs/patterns.md, `test_ROW_NAME.py`, with a test `test_row_ROW_NAME...` that takes `service`
and therefore runs on Redis and on RabbitMQ:

    def test_row_09_fan_out(service, user, mails, eventually):
        ada = user()
        eventually(lambda: mails(ada["email"]), "the welcome mail")

`service` (tests/integration/conftest.py) is the app as processes: API, a worker per queue, mailbox and AI stand-in, on
PostgreSQL; there is one per broker, which all modules of the tier share. So a test makes its own users and posts, looks
at nothing but them, and starts again what it stopped. Beat does not run: start it with `service.start_beat("beat-...")`
and stop it, or send the task yourself. Of `service`: `api` and `mail` are HTTP clients, `environment` what each process
gets, `start`, `stop`, `start_worker`, `log`, `follow(task_id)`.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import URL, create_engine, make_url, text

from tests.integration.conftest import PASSWORD
from tests.integration.processes import PHOTO

POLL = 0.03  # seconds


@pytest.fixture
def eventually(service):
    """Look until there is something to see; returns it. Fails after `seconds`, or when a process of the app ended."""

    def wait(look, what, seconds=30):
        seen = []

        def looked():
            seen[:] = [look()]
            return seen[0]

        service.wait(looked, what, seconds, POLL)
        return seen[0]

    return wait


@pytest.fixture
def user(service):
    """Register somebody new with POST /users; returns the answer's JSON."""

    def register(email=None, name="Ada"):
        new = {"email": email or f"{uuid4().hex}@example.org", "name": name}
        answer = service.api.post("/users", json=new)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return register


@pytest.fixture
def post(service):
    """Write a post with POST /posts; returns the answer's JSON."""

    def write(author, body, **fields):
        answer = service.api.post("/posts", json={"user_id": author["id"], "body": body, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return write


@pytest.fixture
def mails(service):
    """The mails to an address that the mailbox has, optionally those with words in their subject only."""

    def read(to, subject=""):
        found = service.mail.get("/api/messages", params={"to": to}).raise_for_status().json()
        return [mail for mail in found if subject in mail["subject"]]

    return read


@pytest.fixture
def send(service):
    """Publish a task of the app as `celery call` does, from a process of its own; returns the task's id."""

    def publish(task, *args, **options):
        code = f"from app.celery import app; print(app.send_task({task!r}, {args!r}, **{options!r}).id)"
        return service.run(task, [sys.executable, "-c", code]).split()[-1]

    return publish


@pytest.fixture
def database(service, environment):
    """The app's database, for SQLAlchemy."""
    engine = create_engine(_with_password(environment["DATABASE_URL"]))
    yield engine
    engine.dispose()


@pytest.fixture
def rows(database):
    """Run one SQL statement on the app's database; returns the rows."""

    def query(statement, **values):
        with database.begin() as connection:
            result = connection.execute(text(statement), values)
            return result.all() if result.returns_rows else []

    return query


@pytest.fixture
def store(service, environment):
    """A client of the app's Redis: results, locks, counters, whatever the broker is."""
    with Redis.from_url(environment["REDIS_URL"], password=PASSWORD, decode_responses=True) as client:
        yield client


@pytest.fixture(scope="session")
def story(service):
    """One upload of the real photo, followed to its end: what was accepted, what was seen, and the picture."""
    accepted = service.upload(PHOTO)
    seen = service.follow(accepted["task_id"])
    picture = service.api.get(accepted["image"]).raise_for_status().json()
    return SimpleNamespace(accepted=accepted, seen=seen, picture=picture)


@pytest.fixture
def verdict(service):
    """What the fact check of a post came to; None as long as there is none."""

    def read(made):
        check = service.api.get(f"/posts/{made['id']}").json()["fact_check"]
        return check and check["verdict"]

    return read


def _with_password(url) -> URL:
    return make_url(url).set(password=PASSWORD)
