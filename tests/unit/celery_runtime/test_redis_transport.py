from __future__ import annotations

import pytest

from celery_runtime import redis_transport
from celery_runtime.queues import load_queues
from celery_runtime.redis_transport.held import Held
from celery_runtime.redis_transport.messages import MalformedError, Message, parse
from celery_runtime.redis_transport.scripts import deliveries
from celery_runtime.settings import RuntimeSettings, load


@pytest.fixture
def queues(tmp_path):
    (tmp_path / "queues.toml").write_text("[queues.default]\n[queues.media]\ntime_limit = 7200\n")
    return load_queues(tmp_path / "queues.toml")


def test_a_lease_makes_the_visibility_timeout_short(monkeypatch, queues):
    assert redis_transport.visibility_timeout(load(RuntimeSettings), queues) == 60

    monkeypatch.setenv("VISIBILITY_TIMEOUT", "90")
    assert redis_transport.visibility_timeout(load(RuntimeSettings), queues) == 90


@pytest.mark.parametrize("off", ["lease", "claim", "claim,lease"])
def test_without_a_lease_it_exceeds_the_longest_task(monkeypatch, queues, off):
    monkeypatch.setenv("RUNTIME_OFF", off)

    assert redis_transport.visibility_timeout(load(RuntimeSettings), queues) >= 2 * 7230


@pytest.mark.parametrize(
    ("tag", "count"),
    [("5f1c", 0), ("5f1c~1", 1), ("5f1c~12", 12), ("5f1c~2+", 2), ("5f1c+", 0), ("a~b", 0), ("", 0), ("~3", 3)],
)
def test_the_delivery_tag_tells_how_many_workers_died_with_the_message(tag, count):
    assert deliveries(tag) == count


def test_a_redelivered_message_carries_the_header_of_a_quorum_queue():
    raw = b'{"headers": {"id": "x"}, "properties": {"delivery_info": {"redelivered": true}}}'
    message = parse(raw, "tag~2")

    assert message["headers"] == {"id": "x", "x-delivery-count": 2}
    assert message["properties"]["delivery_tag"] == "tag~2"
    assert parse(b'{"headers": {}, "properties": {}}', "tag")["headers"] == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b'{"properties": null}',
        b'{"properties": [], "headers": {}}',
        b"{",
        b"\xff",
    ],
)
def test_what_is_no_message_is_told_apart(raw):
    with pytest.raises(MalformedError):
        parse(raw, "tag")


@pytest.mark.parametrize("body_encoding", ["base64", "rot13"])
def test_a_body_that_cannot_be_decoded_is_malformed(body_encoding):
    class Channel:
        def decode_body(self, body, encoding):
            raise ValueError(f"{encoding} of {body!r}")

    properties = {"delivery_tag": "t", "body_encoding": body_encoding}
    with pytest.raises(MalformedError):
        Message({"body": "###", "properties": properties}, channel=Channel())


def test_a_message_is_settled_once():
    held = Held()
    held.add("tag", "media", object())

    assert held.settle("tag")
    assert not held.settle("tag")
    assert list(held.acks) == [("media", "tag")]
    assert not held.messages


def test_after_a_lost_connection_only_running_tasks_keep_their_messages():
    held = Held(outlives=True)
    for tag in ("runs", "waits", "eta"):
        held.add(tag, "media", object())

    held.keep_only({"runs"})

    assert held.by_queue() == {"media": ["runs"]}
    assert list(held.returns) == [("media", "waits"), ("media", "eta")]
