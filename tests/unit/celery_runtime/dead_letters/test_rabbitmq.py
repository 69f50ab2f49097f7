from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from celery_runtime.dead_letters.rabbitmq import HEADER, _body_as_it_came, _letter

DEATHS = [
    {"queue": "orders", "reason": "delivery_limit", "time": datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None),
     "exchange": "tasks", "routing-keys": ["orders"], "original-expiration": "9"},
    {"queue": "celery_delayed_3", "reason": "expired", "time": None, "exchange": "", "routing-keys": ["0.1.orders"]},
]  # fmt: skip


def delivered(headers, body="[]"):
    return SimpleNamespace(properties={"application_headers": headers, "priority": 1}, body=body, delivery_tag=1)


def test_what_rabbitmq_parked_is_read_from_its_own_headers():
    headers = {"task": "a", "x-death": DEATHS, "x-first-death-queue": "orders", "x-delivery-count": 6}
    letter = _letter("orders", delivered(headers))

    assert (letter.note.reason, letter.note.host, letter.note.time) == ("poison", "", "2026-01-02T00:00:00.000+00:00")
    assert (letter.note.exchange, letter.note.routing_key) == ("tasks", "orders")
    assert letter.headers == {"task": "a"} and letter.properties == {"priority": 1, "expiration": "9"}


def test_our_own_mark_is_taken_off_and_wins():
    mark = {"queue": "orders", "reason": "arguments", "detail": "d", "time": "t", "host": "h"}
    letter = _letter("orders", delivered({"task": "a", "x-death": DEATHS, HEADER: mark}, body=b"\xff"))

    assert (letter.note.reason, letter.note.detail, letter.body, letter.headers) == (
        "arguments",
        "d",
        b"\xff",
        {"task": "a"},
    )


def test_what_was_compressed_is_compressed_again():
    from kombu.compression import decompress

    headers = {"compression": "application/x-gzip"}
    message = SimpleNamespace(body=b"[1]", content_encoding="utf-8", headers=headers, errors=[])

    assert decompress(_body_as_it_came(message), "application/x-gzip") == b"[1]"
