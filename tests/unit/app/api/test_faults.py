from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app import submit
from app.celery import app
from app.models import FaultBatch, FaultEvent


def ledger(client, batch):
    return client.get(f"/faults/ledger/{batch}").json()


def test_tasks_run_and_are_counted(client):
    answer = client.post("/faults/count", json={"count": 20})
    assert answer.status_code == 202
    batch = answer.json()["batch"]
    assert answer.json() == {"batch": batch, "accepted": 20}
    assert ledger(client, batch) == {
        "batch": batch, "accepted": 20, "started": 20, "ended": 20, "lost": 0, "doubled": 0,
    }  # fmt: skip


def test_no_body_means_one_task_in_the_default_queue(client):
    assert client.post("/faults/count").json()["accepted"] == 1


def test_a_failing_task_has_ended(client):
    batch = client.post("/faults/fail", json={"count": 3}).json()["batch"]
    assert ledger(client, batch)["lost"] == 0


@pytest.mark.parametrize("queue", ["default", "media", "email"])
def test_a_task_goes_to_the_queue_that_is_named(client, queued, queue):
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        app.amqp.queues[queue](channel).declare()
        before = channel._size(queue)
        client.post("/faults/sleep", json={"count": 4, "seconds": 0.5, "queue": queue})
        assert channel._size(queue) == before + 4


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        ([], (0, 0, 3, 0)),
        ([(0, "start"), (1, "start"), (0, "end")], (2, 1, 2, 0)),
        ([(n, kind) for n in range(3) for kind in ("start", "end")], (3, 3, 0, 0)),
        ([(0, "start"), (0, "start"), (0, "end"), (1, "end"), (2, "end")], (2, 3, 0, 0)),
        ([(0, "end"), (0, "end"), (0, "end"), (1, "end")], (0, 4, 1, 2)),
        (
            [(0, "end"), (1, "end"), (2, "end"), (3, "end")],
            (0, 3, 0, 0),
        ),  # 3 ran, though its publishing was not confirmed
    ],
)
def test_the_ledger_s_arithmetic(client, database, events, verdict):
    batch = FaultBatch(name="count", queue="default", count=9, seconds=0, accepted=3)
    with database.transaction() as session:
        session.add(batch)
        session.flush()
        rows = [FaultEvent(batch=batch.id, n=n, kind=kind, host="h", pid=1) for n, kind in events]
        session.add_all([*rows, FaultEvent(batch=uuid4(), n=0, kind="end", host="h", pid=1)])
    answer = ledger(client, batch.id)
    assert (answer["started"], answer["ended"], answer["lost"], answer["doubled"]) == verdict


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"count": -1}, ("count = -1", "greater than or equal to 1")),
        ({"count": 0}, ("count = 0",)),
        ({"count": 10_000_000}, ("count = 10000000", "100000")),
        ({"count": "7"}, ("count = '7'", "integer")),
        ({"count": 1.5}, ("count = 1.5", "integer")),
        ({"count": True}, ("count = True", "integer")),
        ({"seconds": -0.1}, ("seconds = -0.1",)),
        ({"seconds": 3601}, ("seconds = 3601", "3600")),
        ({"seconds": None}, ("seconds = None",)),
        ({"queue": "nope"}, ("queue = 'nope'", "default, media, ai, email")),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_published(client, database, body, parts):
    answer = client.post("/faults/count", json=body)
    assert answer.status_code == 422
    assert all(part in answer.json()["error"] for part in parts), answer.json()
    with database.transaction() as session:
        assert session.query(FaultBatch).count() == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_seconds_have_an_end(client, number):
    assert client.post("/faults/sleep", content=f'{{"seconds": {number}}}').status_code == 422


def test_an_unknown_fault_is_named_with_those_there_are(client):
    answer = client.post("/faults/explode")
    assert answer.status_code == 404
    assert "'explode'" in answer.json()["error"] and "hog_memory" in answer.json()["remedy"]


def test_faults_are_off_unless_asked_for(client, reconfigure):
    reconfigure(FAULTS="off")
    for answer in (client.post("/faults/count"), client.get(f"/faults/ledger/{uuid4()}")):
        assert answer.status_code == 404 and "FAULTS=on" in answer.json()["remedy"]


def test_a_broker_that_dies_midway_is_reported_with_what_it_accepted(client, monkeypatch, database):
    def dies(tasks):
        raise submit.BrokerAwayError("connection reset", accepted=7)

    monkeypatch.setattr(submit, "publish", dies)
    answer = client.post("/faults/count", json={"count": 10})
    assert answer.status_code == 503
    body = answer.json()
    assert body["accepted"] == 7 and f"Batch {body['batch']}: 7 of 10" in body["error"]
    with database.transaction() as session:
        assert session.get(FaultBatch, UUID(body["batch"])).accepted == 7


def test_a_task_has_the_priority_the_countdown_and_the_expiry_that_are_asked_for(client, queued):
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        app.amqp.queues["default"](channel).declare()
        channel.queue_purge("default")
        client.post("/faults/count", json={"priority": "low", "countdown": 60, "expires": 90})
        message = channel._get("default")
    headers = message["headers"]
    eta, expires = (datetime.fromisoformat(headers[name]) for name in ("eta", "expires"))
    assert message["properties"]["priority"] == 9
    assert expires - eta == pytest.approx(timedelta(seconds=30), abs=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("name", "value"), [("priority", "urgent"), ("countdown", -1), ("countdown", 3601), ("expires", 0)]
)
def test_times_and_priorities_that_are_none(client, name, value):
    answer = client.post("/faults/count", json={name: value})
    assert answer.status_code == 422 and answer.json()["error"].startswith(f"{name} = ")
