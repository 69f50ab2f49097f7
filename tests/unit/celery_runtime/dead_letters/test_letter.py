from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

from celery_runtime.dead_letters.letter import DeadLetter, Note, decoded, replayed

NOTE = Note("orders", "poison", "it died", "orders@host", "tasks", "orders")
LETTER = DeadLetter(NOTE, {"task": "shop.add", "id": "1"}, {"priority": 3}, b"[[1], {}, {}]")


def test_an_id_is_the_same_each_time_and_another_for_another_letter():
    assert LETTER.id == replace(LETTER, place="elsewhere").id
    assert len({LETTER.id, replace(LETTER, body=b"x").id, replace(LETTER, headers={"id": "2"}).id}) == 3


def test_the_time_is_utc():
    assert datetime.fromisoformat(NOTE.time).tzinfo == UTC


def test_task_and_id_are_found_in_either_protocol():
    old = DeadLetter(NOTE, {}, {}, json.dumps({"task": "shop.add", "id": "7"}).encode())

    assert (LETTER.task, LETTER.task_id, old.task, old.task_id) == ("shop.add", "1", "shop.add", "7")
    assert DeadLetter(NOTE, {}, {"correlation_id": "c"}, b"\xff").task_id == "c"


def test_a_document_is_json_whatever_the_message_holds():
    document = replace(LETTER, headers={"at": datetime(2026, 1, 1, tzinfo=UTC)}, body=b"\xff").document()

    assert json.loads(json.dumps(document))["message"]["body"] == {"base64": base64.b64encode(b"\xff").decode()}


def test_a_body_is_shown_as_what_it_is():
    assert (decoded(b"[1]"), decoded(b"hello"), decoded(b"\xff")) == ([1], "hello", {"base64": "/w=="})


def test_a_replay_is_counted_and_the_brokers_counts_start_anew():
    once = replayed({"task": "a", "x-delivery-count": 5, "redelivered": True})
    twice = replayed(once)

    assert once["x-replayed"]["count"] == 1 and twice["x-replayed"]["count"] == 2
    assert set(twice) == {"task", "x-replayed"}


def test_a_note_is_read_back_also_from_a_box_that_knows_more_or_less():
    assert Note.from_dict(vars(NOTE) | {"expiration": None}) == NOTE
    assert Note.from_dict({"queue": "orders", "reason": "rejected"}).time == ""
