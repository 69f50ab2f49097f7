"""Which messages a child may run itself."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from celery import Celery
from celery.worker.request import Request

from celery_runtime.direct import internals
from celery_runtime.direct.orders import Orders, TaskOrder
from celery_runtime.direct.plain import Reader
from celery_runtime.direct.redis.source import RedisSource


def nothing():
    """What these tasks do."""


@pytest.fixture
def app():
    app = Celery("plain", set_as_current=False, broker="memory://", backend="disabled://")
    app.task(name="add")(nothing)
    yield app
    app.close()


@pytest.fixture
def reader(app):
    orders = Orders(["add"])
    reader = Reader({"add": app.tasks["add"]}, RedisSource.parse, orders, "worker@host", (20.0, 30.0))
    reader.said = [TaskOrder(True, 0, 0)]
    return reader


def message(body=([1, 2], {}, {}), encoding="base64", headers=(), **more):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.dumps({
        "body": base64.b64encode(text).decode() if encoding == "base64" else text.decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "add", "id": "id-1", "retries": 0, "timelimit": [None, None]} | dict(headers),
        "properties": {
            "body_encoding": encoding,
            "correlation_id": "c-1",
            "reply_to": "r-1",
            "priority": 3,
            "delivery_tag": "tag",
            "delivery_info": {"exchange": "", "routing_key": "media"} | more.pop("info", {}),
        },
    } | more).encode()  # fmt: skip


def test_a_plain_message_becomes_the_request_that_stock_makes(reader):
    work = reader.read(message([[1], {"b": 2}, {"callbacks": None, "chain": []}]), "media", "tag")

    assert (work.id, work.task.name, work.soft, work.hard) == ("id-1", "add", 20, 30)
    assert work.request["args"] == [1]
    assert work.request["kwargs"] == {"b": 2}
    assert work.request["chain"] == []
    assert work.request["is_eager"] is False
    assert (work.request["hostname"], work.request["reply_to"]) == ("worker@host", "r-1")
    assert work.request["delivery_info"] == {
        "exchange": "",
        "routing_key": "media",
        "priority": 3,
        "redelivered": False,
    }


def test_limits_come_from_the_message_the_task_or_the_worker(reader):
    assert reader.read(message(headers={"timelimit": [7, 5]}), "media", "tag")[4:] == (5, 7)
    reader.said = [TaskOrder(True, 8, 9)]
    assert reader.read(message(), "media", "tag")[4:] == (8, 9)


def test_a_body_may_be_text_or_compressed(reader):
    assert reader.read(message(encoding="utf-8"), "media", "tag").request["args"] == [1, 2]
    packed = zlib.compress(json.dumps([[3, 4], {}, {}]).encode())
    assert reader.read(message(packed, headers={"compression": "application/x-gzip"}), "media", "tag").request[
        "args"
    ] == [3, 4]


@pytest.mark.parametrize(
    "raw",
    [
        message(headers={"eta": "2030-01-01T00:00:00"}),
        message(headers={"expires": "2030-01-01T00:00:00"}),
        message(headers={"stamped_headers": ["a"], "stamps": {"a": "b"}}),
        message(headers={"redelivered": True}),
        message(info={"redelivered": True}),
        message(headers={"task": "gone"}),
        message(headers={"task": {"not": "a name"}}),
        message(headers={"id": None}),
        message(headers={"retries": "once"}),
        message(headers={"timelimit": "soon"}),
        message(headers={"compression": "application/x-gzip"}),
        message(headers={"compression": "nobody-knows"}),
        message(**{"content-type": "application/x-python-serialize"}),
        message(**{"content-encoding": "latin-1"}),
        message({"task": "add", "id": "id-1", "args": [1, 2]}),
        message([[1, 2], {}]),
        message(["ab", {}, {}]),
        message([[1], [], {}]),
        message([[1], {}, []]),
        message(b"[[1, 2], {}"),
        message(b"\xff\xfe"),
        message(encoding="base32"),
        b"no json",
        b"[]",
        b"{}",
    ],
)
def test_whatever_is_not_plain_is_the_parents(reader, raw):
    assert reader.read(raw, "media", "tag") is None


def test_a_second_delivery_and_a_revoked_id_are_the_parents(reader):
    assert reader.read(message(), "media", "tag~1") is None
    reader.orders.revoke(["id-1"])
    assert reader.read(message(), "media", "tag") is None


class OwnRequest(Request):
    """An app's own."""


def test_tasks_with_rules_of_their_own_are_the_parents(app):
    late = {"acks_late": True}
    plain = app.task(name="plain", **late)(nothing)
    assert internals.runs_plainly(plain)
    for number, rules in enumerate(
        [{}, late | {"rate_limit": "5/s"}, late | {"Request": OwnRequest}, late | {"Strategy": "their:own"}]
    ):
        assert not internals.runs_plainly(app.task(name=f"own-{number}", **rules)(nothing))


def test_a_result_waits_for_the_step_only_where_nobody_looks(app):
    plain = app.task(name="plain")(nothing)

    class Hooked(app.Task):
        def on_success(self, *args):
            """Looks for the result, perhaps."""

    hooked = app.task(name="hooked", base=Hooked)(nothing)

    assert internals.nobody_looks_after(plain)
    assert not internals.nobody_looks_after(hooked)
