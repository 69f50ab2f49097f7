"""The transport on a Redis that is full, forgetful or cut off, and messages that are none."""

from __future__ import annotations

import time

import pytest
from redis.exceptions import RedisError

from tests.integration.redis_peers import event_loop, held, waiting
from tests.integration.redis_servers import command_counts, commands_since, full

IDLE = 5  # commands per second of one waiting consumer: a BLMOVE for each of four lists, and a look


GARBAGE = {
    "noise": b"\xff\xfe not JSON " * 80_000,
    "almost a tag": b'"delivery_tag":' * 70_000,
    "an endless tag": b'"delivery_tag": "' + b"x" * 1_000_000,
    "spaces": b'"delivery_tag":' + b" " * 1_000_000,
    "priorities": b'"priority":' * 90_000,
    "brackets": b"[" * 1_000_000,
    "a number": b"1",
    "no properties": b'{"body": "e30="}',
    "properties of another type": b'{"properties": [1]}',
    "a body that is not base64": b'{"body": "a", "properties": {"body_encoding": "base64", "delivery_tag": "t"}}',
    "unknown encoding": b'{"body": "a", "headers": {}, "properties": {"body_encoding": "rot13", "delivery_tag": "u"}}',
    "headers of another type": b'{"headers": [1], "properties": {"delivery_tag": "h", "delivery_info": {}}}',
    "delivery_info of another type": b'{"headers": {}, "properties": {"delivery_tag": "d", "delivery_info": 5}}',
    "an unknown type": b'{"headers": {"__type__": "decimal", "__value__": "x"}, "properties": {"delivery_tag": "e"}}',
}


def test_a_full_redis_is_emptied_waits_without_spinning_and_loses_nothing(peer, admin):
    consumer = peer().consume("q", prefetch=5)
    consumer.send("q", *range(10))
    with event_loop(consumer) as run, full(admin):
        with pytest.raises(RedisError):
            admin.lpush("more", "x")
        run(lambda: len(consumer.received) == 5)
        assert consumer.channel.steps.renew(consumer.channel.held.by_queue()) == []
        consumer.received[0].requeue()
        for message in consumer.received[1:]:
            message.ack()
        run(lambda: len(consumer.received) == 10)
        assert consumer.channel.steps.sweep("q", 0) == 5
        consumer.channel.held.keep_only(set())  # as if another consumer had them
        run(lambda: len(consumer.received) == 15)
        for message in consumer.received[10:]:
            message.ack()
        run(lambda: len(consumer.received) == 16)
        consumer.received[15].ack()
        run(lambda: held(admin) == 0)

        assert set(consumer.bodies) == set(range(10)) and waiting(admin) == 0
        before, began = command_counts(admin), time.monotonic()
        run(lambda: time.monotonic() > began + 3)
        sent = commands_since(admin, before)
        assert sent.get("evalsha", 0) + sent.get("blmove", 0) <= 4 * (IDLE + 1)

        admin.config_set("maxmemory", 0)
        consumer.send("q", "after")
        run(lambda: consumer.bodies[-1] == "after")


def test_a_channel_of_a_full_redis_closes_and_hands_everything_back(peer, admin):
    consumer = peer().consume("q")
    consumer.send("q", 1, 2)
    consumer.get(2)
    with full(admin):
        consumer.channel.claims.idle = True
        consumer.connection.transport.cycle.on_poll_start()  # waits, and is refused
        consumer.close()

    assert held(admin) == 0 and waiting(admin) == 2


def test_what_is_no_message_is_reported_and_disturbs_no_other(peer, admin, monkeypatch):
    consumer, refused = peer().consume("q"), []

    def park(queue, tag, raw, reason):
        refused.append(raw)
        assert queue == "q" and reason.startswith("not a message of kombu: ")
        consumer.channel.acknowledge(tag)

    monkeypatch.setattr(type(consumer.channel), "on_malformed", staticmethod(park))
    for number, raw in enumerate(GARBAGE.values()):
        admin.lpush("q", raw)
        consumer.send("q", number)

    assert consumer.get(len(GARBAGE)) == list(range(len(GARBAGE)))
    consumer.ack()
    assert sorted(refused) == sorted(GARBAGE.values())
    assert held(admin) == waiting(admin) == 0


def test_what_is_no_message_is_discarded_by_name_when_nobody_parks_it(peer, admin, caplog):
    consumer = peer().consume("q")
    admin.lpush("q", "nonsense")
    consumer.until(lambda: "q: discarded not a message of kombu" in caplog.text)
    assert "nonsense" in caplog.text and held(admin) == 0

    admin.lpush("q", "more nonsense")
    consumer.send("q", 1)
    assert peer().channel.basic_get("q").payload == 1


def test_an_error_of_the_receiver_is_not_taken_for_the_message_s(peer, admin):
    def fail(message):
        raise ValueError(message.payload)

    for no_ack in (False, True):
        consumer = peer().consume("q", no_ack=no_ack, on_message=fail)
        consumer.send("q", "fine")
        with pytest.raises(ValueError, match="fine"):
            consumer.get(1)
        consumer.close()
    assert waiting(admin) == 1 and held(admin) == 0


def test_two_messages_with_one_tag_are_two_messages(peer, admin):
    consumer = peer().consume("q")
    consumer.send("q", 1)
    twin = admin.lindex("q", 0)
    admin.lpush("q", twin, twin)

    consumer.get(3)
    assert len({message.delivery_tag for message in consumer.received}) == 3 == held(admin)
    consumer.received.pop().requeue()
    assert held(admin) == 2 and waiting(admin) == 1
    consumer.get(3)
    consumer.ack()
    assert held(admin) == waiting(admin) == 0


def test_a_server_that_forgot_the_scripts_gets_them_again(peer, admin, caplog):
    consumer = peer().consume("q", on_message=lambda message: (done.append(message.payload), message.ack()))
    done = []
    with event_loop(consumer) as run:
        for number in range(20):
            admin.script_flush()
            consumer.send("q", number)
            run(lambda number=number: len(done) > number)
        run(lambda: consumer.channel.quiet or held(admin) == 0)
    assert done == list(range(20)) and held(admin) == waiting(admin) == 0
    assert "lease had ended" not in caplog.text


def test_an_acknowledgement_that_was_under_way_when_the_connection_broke_is_sent_again(peer, admin, caplog):
    lost, following = peer().consume("q"), peer()
    following.channel.held.outlives = lost.channel.held.outlives = True
    lost.send("q", 1, 2)
    lost.get(2)
    with event_loop(lost) as run:
        run(lambda: lost.channel.claims.idle and not lost.channel._in_poll)
        lost.channel.client.connection.send_command = lambda *_: None  # what is sent now does not arrive
        lost.received[0].ack()
        lost.connection.transport.cycle.on_poll_start()
        assert lost.channel._in_poll and not lost.channel.held.acks
        lost.channel.lost = True
    following.channel.take_over(lost.channel.held)
    following.consume("other")
    lost.received[1].ack()  # its channel is gone
    following.until(lambda: held(admin) == 0)
    assert "lease had ended" not in caplog.text
