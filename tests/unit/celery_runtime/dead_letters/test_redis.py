from __future__ import annotations

import json

import pytest

from celery_runtime.dead_letters.redis import NotAMessageError, message_in

GOOD = {
    "body": "W10=",
    "headers": {},
    "properties": {"delivery_tag": "t", "body_encoding": "base64", "delivery_info": {}},
}


def changed(**properties):
    return {**GOOD, "properties": {**GOOD["properties"], **properties}}


def test_a_message_of_kombu_is_decoded():
    assert message_in(json.dumps(GOOD).encode()) == GOOD


@pytest.mark.parametrize(
    ("element", "says"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"garbage", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "no delivery tag"),
        (b'"text"', "no delivery tag"),
        (b"{}", "no delivery tag"),
        (json.dumps(changed(delivery_tag=1)).encode(), "no delivery tag"),
        (json.dumps(changed(delivery_info=[])).encode(), "its delivery_info are a list"),
        (json.dumps(GOOD | {"headers": "x"}).encode(), "its headers are a str"),
        (json.dumps(GOOD | {"body": 1}).encode(), "its body is a int"),
        (json.dumps(changed(body_encoding="rot13")).encode(), "unknown encoding 'rot13'"),
        (json.dumps(GOOD | {"body": "abc"}).encode(), "not base64"),
    ],
)
def test_what_kombu_would_fall_over_is_refused_with_the_reason(element, says):
    with pytest.raises(NotAMessageError, match=says):
        message_in(element)
