from __future__ import annotations

import io
import json
import shutil
import warnings
from contextlib import nullcontext
from types import SimpleNamespace
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from PIL import Image as Pillow
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from app import ai, db, likes, migrate, storage
from app.celery import app as celery
from app.models import Blob, Image, Post, User, now
from app.outbox import outbox
from app.progress import original_key
from app.settings import settings
from tests.ports import free_port
from tests.unit.standins.conftest import standins

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have httpx2, which nothing else here needs
    from fastapi.testclient import TestClient

celery.conf.update(
    broker_url="memory://",
    result_backend="cache+memory://",
    task_always_eager=True,
    task_store_eager_result=True,
    broker_transport_options={"polling_interval": 0.01},
    # What BROKER in the environment of whoever runs the tests would have set.
    task_default_queue_type="classic",
)
celery.loader.import_default_modules()


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch, plain_environment):
    """A database of its own for each test, in a file, so that threads and processes can share it."""
    for name in ("DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE", "MAIL_FROM", "MAIL_TO", "MAX_UPLOAD_BYTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/app.db")
    monkeypatch.setenv("FAULTS", "on")
    # An eager task may not wait for others (Celery 5.7), but one that replaces itself by a chord has to.
    monkeypatch.setattr("celery.app.task.denied_join_result", nullcontext)
    forget()
    yield
    forget()


def forget():
    if db.engine.cache_info().currsize:
        db.engine().dispose()
    for cached in (settings, db.engine, db._sessions, ai._client):
        cached.cache_clear()


@pytest.fixture
def reconfigure(monkeypatch):
    """Set variables after the settings were read."""

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        forget()

    return set_variables


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A migrated database to copy: running the revisions for each test would take most of its time."""
    return tmp_path_factory.mktemp("migrated") / "app.db"


@pytest.fixture
def database(environment, migrated, tmp_path):
    if migrated.exists():
        shutil.copy(migrated, tmp_path / "app.db")
        return db
    migrate.upgrade()
    db.engine().dispose()  # the last connection writes the log into the file
    shutil.copy(tmp_path / "app.db", migrated)
    return db


@pytest.fixture
def client(database, no_likes, quiet):
    from app.api.main import create

    with TestClient(create(), raise_server_exceptions=False) as api:
        yield api


@pytest.fixture
def queued(monkeypatch):
    """Leave what is published in the queue, where a worker would find it."""
    monkeypatch.setitem(celery.conf, "task_always_eager", False)


class Smtp:
    """A real SMTP server on a free port. `answer` is what it says to a message, `answers` what it says before that."""

    def __init__(self):
        self.messages, self.answers, self.answer, self.recipient_answer = [], [], "250 OK", "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 -- aiosmtpd's name
        envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        if self.answer.startswith("250"):
            text = envelope.content.decode()
            self.messages.append(SimpleNamespace(sender=envelope.mail_from, to=envelope.rcpt_tos, text=text))
        return self.answer


@pytest.fixture
def smtp(reconfigure):
    port, handler = free_port(), Smtp()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    reconfigure(SMTP_HOST="127.0.0.1", SMTP_PORT=port)
    yield handler
    controller.stop()


@pytest.fixture(scope="session")
def ai_service():
    """The address of an AI stand-in, a process of its own."""
    with standins() as start:
        yield f"http://{start('app.standins.ai', AI_HOST='127.0.0.1', AI_PORT='0').addresses[0]}/v1"


@pytest.fixture
def ai_settings(reconfigure, ai_service):
    reconfigure(AI_BASE_URL=ai_service, AI_TIMEOUT="5")
    return reconfigure


@pytest.fixture
def sent(database):
    """The tasks that wait in the outbox, the oldest first: name, arguments by position and by name."""

    def read():
        with database.transaction() as session:
            rows = session.execute(select(outbox.table).order_by(outbox.table.c.number)).all()
        return [(row.task, *(json.loads(row.message)[part] for part in ("args", "kwargs"))) for row in rows]

    return read


@pytest.fixture
def happened(sent):
    """The events that were published, the oldest first."""
    return lambda: [tuple(args) for task, args, _ in sent() if task == "app.events.dispatch"]


@pytest.fixture
def quiet(monkeypatch):
    """Let what is sent stay in the outbox: its thread would outlive the test, and hold SQLite's only write lock."""
    monkeypatch.setattr(outbox.relay, "nudge", lambda _session: None)


@pytest.fixture
def author(database):
    user = User(email="ada@example.org", name="Ada Lovelace")
    with database.transaction() as session:
        session.add(user)
    return user


@pytest.fixture
def posted(author, quiet):
    """Store a post as the API does, without an event; returns its id."""

    def store(body="The engine weaves.", **columns):
        post = Post(**{"user_id": author.id, "body": body, "published_at": now(), **columns})
        with db.transaction() as session:
            session.add(post)
        return str(post.id)

    return store


@pytest.fixture
def picture():
    """Make a picture: a red left half on blue, so that turning it can be seen."""

    def make(size=(300, 200), mode="RGB", form="JPEG", **options):
        image = Pillow.new("RGB", size, "blue")
        image.paste("red", (0, 0, size[0] // 2, size[1]))
        out = io.BytesIO()
        image.convert(mode).save(out, form, **options)
        return out.getvalue()

    return make


@pytest.fixture
def exif():
    """What a camera writes, with the place where its owner lives."""
    data = Pillow.Exif()
    data[0x010F], data[0x0110], data[0x0112] = "Example\0", "Example One", 6
    data.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    data.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return data


@pytest.fixture
def stored(database, picture):
    """Store a picture as the API does, and return its id."""

    def store(data=None, **columns):
        data = picture() if data is None else data
        facts = {"width": 300, "height": 200, "format": "JPEG", "bytes": len(data), "sha256": "0" * 64}
        image = Image(**{**facts, **columns})
        with db.transaction() as session:
            session.add(image)
            session.flush()
            storage.put(session, original_key(image.id), data)
        return str(image.id)

    return store


@pytest.fixture
def row(database):
    """Read a picture's row, with its variants."""

    def read(image_id):
        with db.transaction() as session:
            image = session.get(Image, UUID(str(image_id)))
            if image:
                image.variants  # noqa: B018 -- load them while the session is open
            return image

    return read


@pytest.fixture
def blobs(database):
    def keys():
        with db.transaction() as session:
            return {blob.key.partition("/")[2] for blob in session.query(Blob)}

    return keys


@pytest.fixture
def no_likes(monkeypatch):
    """There is no Redis here: what asks for the likes that wait is told so."""

    def away():
        raise RedisConnectionError("there is none here")

    monkeypatch.setattr(likes, "client", away)
