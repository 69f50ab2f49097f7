"""A message that is put directly lies where kombu's would, and is counted only when Redis took it."""

from __future__ import annotations

import json

import pytest
from kombu import Connection, Producer, Queue
from kombu.transport import redis as stock
from redis import Redis
from redis.exceptions import OutOfMemoryError

from celery_runtime.redis_transport.putting import put_directly
from tests.integration.redis_servers import LocalServer


@pytest.fixture
def server(tmp_path):
    server = LocalServer(tmp_path / "redis")
    server.start()
    yield server
    server.process.terminate()
    server.process.wait(10)


@pytest.mark.parametrize("options", [{}, {"global_keyprefix": "app:"}, {"retry_on_timeout": True}])
@pytest.mark.parametrize("queue", [Queue("plain"), Queue("expiring", expires=60)], ids=lambda queue: queue.name)
def test_it_lies_where_kombus_would(server, options, queue, monkeypatch):
    def put():
        with Connection(f"redis://127.0.0.1:{server.port}/0", transport_options=options) as connection:
            producer = Producer(connection)
            for priority in (0, 9):
                producer.publish([priority], routing_key=queue.name, priority=priority, declare=[queue])
        with Redis(port=server.port, decode_responses=True) as client:
            found = {key: [json.loads(text)["body"] for text in client.lrange(key, 0, -1)]
                     for key in client.scan_iter() if client.type(key) == "list"}  # fmt: skip
            lifetimes = {key: client.ttl(key) > 0 for key in found}
            client.flushall()
        return found, lifetimes

    put_directly()
    ours = put()
    monkeypatch.setattr(stock.Channel, "_put", stock.Channel._put.kombus)
    assert ours == put()
    assert len(ours[0]) == 2 and set(ours[1].values()) == {queue.name == "expiring"}


def test_a_refusal_is_told_and_the_next_answer_is_its_own(server):
    put_directly()
    with (
        Redis(port=server.port) as admin,
        Connection(f"redis://127.0.0.1:{server.port}/0") as connection,
    ):
        channel = connection.default_channel
        admin.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            channel._put("full", {"properties": {}})
        admin.config_set("maxmemory", 0)
        channel._put("full", {"properties": {}})
        assert admin.llen("full") == 1
