from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from celery import Celery, chain
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.utils.json import loads
from sqlalchemy import MetaData, create_engine, event, select, update
from sqlalchemy.orm import sessionmaker

from celery_runtime.outbox import Outbox, outbox_table
from celery_runtime.tasks.size import ArgumentsTooLargeError, limit_arguments


@pytest.fixture
def app():
    app = Celery("some-app", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(task_create_missing_queues=False, task_queues=[Queue("celery")])
    limit_arguments(app, 4)
    app.control.purge()  # kombu's in-memory queues are one for the process
    yield app
    app.close()


@pytest.fixture
def outbox(app, tmp_path, monkeypatch):
    metadata = MetaData()
    outbox_table(metadata)
    engine = create_engine(f"sqlite:///{tmp_path}/outbox.db")
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    metadata.create_all(engine)
    outbox = Outbox(app, sessionmaker(engine).begin)
    monkeypatch.setattr(outbox.relay, "nudge", lambda _session=None: None)
    yield outbox
    engine.dispose()


def send(outbox, *tasks):
    with outbox.transaction() as session:
        return [outbox.send(session, task) for task in tasks]


def published(app):
    """Take what is in the queue; returns (id, first argument) of each message."""
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        messages = iter(lambda: channel.basic_get("celery", no_ack=True), None)
        return [(message.headers["id"], message.decode()[0][0]) for message in messages]


def test_tasks_are_published_in_order_under_the_ids_that_were_given_out(app, outbox):
    ids = send(outbox, *(app.signature("run", args=[n]) for n in range(250)))
    assert outbox.waiting().tasks == 250
    assert outbox.relay.run() == 250
    assert published(app) == [(str(task_id), n) for n, task_id in enumerate(ids)]
    assert outbox.waiting() == (0, 0.0, 0)


def test_nothing_is_sent_when_the_transaction_fails(app, outbox):
    with outbox.transaction() as session:
        outbox.send(session, app.signature("run", args=[1]))
        session.rollback()
    assert outbox.relay.run() == 0 and published(app) == []


def test_an_id_of_the_callers_is_kept(app, outbox):
    task_id = uuid4()
    assert send(outbox, app.signature("run", args=[1], task_id=str(task_id))) == [task_id]


def test_what_was_confirmed_before_the_broker_went_away_is_not_published_again(app, outbox, monkeypatch):
    send(outbox, *(app.signature("run", args=[n]) for n in range(5)))
    send_task, sent = app.send_task, []

    def send_three(*args, **kwargs):
        if len(sent) == 3:
            raise OperationalError("away")
        sent.append(args)
        return send_task(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(app, "send_task", send_three)
        assert outbox.relay.run() == 0
    assert outbox.waiting().tasks == 2
    assert outbox.relay.run() == 2
    assert [first for _, first in published(app)] == [0, 1, 2, 3, 4]


def test_a_task_that_can_never_be_published_is_set_aside_and_holds_up_no_other(app, outbox):
    send(outbox, *(app.signature("run", args=[n]) for n in range(3)))
    with outbox.transaction() as session:
        table = outbox.table
        broken = update(table).where(table.c.number == 2)
        session.execute(broken.values(message='{"args": [1], "kwargs": {}, "options": {"queue": "nowhere"}}'))
    assert outbox.relay.run() == 3
    assert [first for _, first in published(app)] == [0, 2]
    assert outbox.waiting() == (0, 0.0, 1)


def test_a_task_for_no_queue_or_too_large_is_refused_where_it_is_sent(app, outbox):
    with pytest.raises(Exception, match="nowhere"):
        send(outbox, app.signature("run", args=[1], queue="nowhere"))
    with pytest.raises(ArgumentsTooLargeError):
        send(outbox, app.signature("run", args=["x" * 5000]))
    assert outbox.waiting().tasks == 0


def test_a_chain_is_refused_with_the_remedy(app, outbox):
    with pytest.raises(TypeError, match="Send a task that starts it"):
        send(outbox, chain(app.signature("a"), app.signature("b")))


def test_a_countdown_counts_from_the_call(app, outbox):
    before = datetime.now(UTC)
    send(outbox, app.signature("run", args=[1], countdown=60, expires=90))
    with outbox.transaction() as session:
        options = loads(session.scalars(select(outbox.table.c.message)).one())["options"]
    assert before + timedelta(seconds=60) <= options["eta"] <= datetime.now(UTC) + timedelta(seconds=60)
    assert options["expires"] - options["eta"] >= timedelta(seconds=29)


def test_the_age_of_the_oldest_task_is_known(app, outbox):
    send(outbox, app.signature("run", args=[1]))
    with outbox.transaction() as session:
        session.execute(update(outbox.table).values(created_at=datetime.now(UTC) - timedelta(hours=1)))
    assert outbox.waiting().tasks == 1 and 3600 <= outbox.waiting().age < 3700


def test_the_relay_is_a_task_for_beat(app, outbox):
    send(outbox, app.signature("run", args=[1]))
    assert app.tasks["celery_runtime.outbox.relay"].apply().get() == 1


def test_without_sqlalchemy_the_error_names_the_extra():
    script = "import sys; sys.modules['sqlalchemy'] = None; import celery_runtime.outbox"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'celery-runtime[outbox]'" in ended.stderr
