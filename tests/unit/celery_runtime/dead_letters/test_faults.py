from __future__ import annotations

import json

import pytest
from kombu.message import Message

from celery_runtime.dead_letters.faults import fault_of

KNOWN = {"shop.add"}
GOOD = [[1, 2], {}, {"chord": None}]


def message(body=GOOD, content_type="application/json", **headers):
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return Message(
        text, content_type=content_type, content_encoding="utf-8", headers=headers, accept={"application/json"}
    )


def sent(body=GOOD, **headers):
    return message(body, **{"task": "shop.add", "id": "1", **headers})


@pytest.mark.parametrize(
    "good",
    [
        sent(),
        sent([[], {}, None]),
        sent(retries=3, timelimit=[None, 5]),
        sent(timelimit=None),
        sent(**{"x-delivery-count": 4}),
        sent({"args": [1], "kwargs": {}}),
        message({"task": "shop.add", "id": "1", "args": [1], "kwargs": {}}),
        message({"task": "shop.add", "id": "1"}),
    ],
)
def test_what_celery_can_run_is_left_alone(good):
    assert fault_of(good, KNOWN, 5) is None


@pytest.mark.parametrize(
    ("bad", "reason", "says"),
    [
        (sent(**{"x-delivery-count": 5}), "poison", "5 workers"),
        (message("[", task="shop.add", id="1"), "undecodable", "Expecting"),
        (message("x", content_type="text/plain", task="shop.add", id="1"), "content-type", "'text/plain'"),
        (message(b"\xff"), "not-a-task", "0xff"),
        (message([1]), "not-a-task", "names no task"),
        (message({"id": "1"}), "not-a-task", "names no task"),
        (sent(task=None), "not-a-task", "names no task"),
        (sent(task=["shop.add"]), "not-a-task", "names no task"),
        (sent(task="shop.gone"), "unknown-task", "'shop.gone'"),
        (sent(id=None), "arguments", "id = None"),
        (sent(id=7), "arguments", "id = 7"),
        (sent(retries="many"), "arguments", "retries = 'many'"),
        (sent(retries=-1), "arguments", "retries = -1"),
        (sent(stamped_headers=5), "arguments", "stamped_headers = 5"),
        (sent(timelimit=[1]), "arguments", "timelimit = [1]"),
        (sent(timelimit=["a", None]), "arguments", "timelimit"),
        (sent([1, 2]), "arguments", "the body is not"),
        (sent(None), "arguments", "the body is not"),
        (sent(["ab", {}, {}]), "arguments", "the arguments are a str"),
        (sent([[], [], {}]), "arguments", "the keyword arguments are a list"),
        (sent([[], {}, "x"]), "arguments", "the options are a str"),
        (message({"task": "shop.add", "id": "1", "args": 3}), "arguments", "the arguments are a int"),
    ],
)
def test_what_would_end_a_worker_is_found_before(bad, reason, says):
    fault = fault_of(bad, KNOWN, 5)

    assert fault is not None and fault.reason == reason
    assert says in fault.detail
