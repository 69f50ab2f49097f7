"""What a child has in hand, as a request of Celery's."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.worker import state
from kombu.message import Message

from celery_runtime.direct.settling import Settling
from celery_runtime.direct.slot import Slot
from celery_runtime.direct.tallies import SIZE


@pytest.fixture
def member():
    slot = Slot(SIZE)
    yield SimpleNamespace(slot=slot, request=None, sequence=-1, pid=1)
    slot.close()


@pytest.fixture
def settling():
    app = Celery(set_as_current=False)

    @app.task(name="work")
    def work():
        pass

    def message(queue, tag, raw):
        headers, properties, body, _ = app.amqp.as_task_v2(tag, "work", (), {})
        return Message(
            json.dumps(body),
            delivery_tag=tag,
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
            properties=properties,
            delivery_info={"routing_key": queue},
        )

    consumer = SimpleNamespace(
        app=app,
        call_soon_ack=None,
        connection_errors=(),
        event_dispatcher=SimpleNamespace(send=None, enabled=False),
        hostname="worker@here",
        pool=SimpleNamespace(num_processes=1, apply_async=None),
        task_consumer=SimpleNamespace(accept=None),
    )
    custody = SimpleNamespace(raw=lambda member, tag: b"", message=message, forget=lambda tag: None)
    return Settling(consumer, custody)


def test_the_requests_of_a_task_share_one_class(settling, member):
    """As in Celery, whose strategies make it once."""
    shown = []
    for tag in "12":
        member.slot.hold("media", tag, b"")
        member.slot.begin(time.monotonic(), 0, 0)
        shown.append(settling.show(member))
    settling.forget(member)

    assert [request.id for request in shown] == ["1", "2"]
    assert type(shown[0]) is type(shown[1])
    assert not state.active_requests
