"""Messages on Redis that come back: of consumers that died, stopped, were cancelled, or run plain kombu."""

from __future__ import annotations

import pytest

from celery_runtime.redis_transport import keys
from tests.integration.redis_peers import STOCK, event_loop, held, waiting

OLD = 10_000  # seconds, more than any timeout here


@pytest.mark.parametrize("queue", ["q", "größe/1", 'a"b', "a:b"])
def test_what_a_plain_consumer_left_behind_comes_back_after_its_own_timeout(peer, admin, queue):
    other = queue[:-1] + "z"
    stock, ours = peer(STOCK).consume(queue, other), peer(stock_visibility_timeout=100)
    stock.send(queue, 1, 2, priority=6)
    stock.send(other, 3)
    stock.get(3)
    stock.die()
    ours.consume(queue)
    sweep = ours.channel.qos.restore_visible

    sweep(interval=1)
    assert admin.hlen("unacked") == 3

    for tag in admin.zrange("unacked_index", 0, -1):
        admin.zincrby("unacked_index", -101, tag)
    ours.channel.qos._sweeps = 0
    sweep(interval=1)

    assert admin.hlen("unacked") == 1 and admin.zcard("unacked_index") == 1
    assert admin.llen(f"{queue}\x06\x166") == 2
    assert ours.get(2) == [1, 2]
    assert all(message.delivery_info["redelivered"] for message in ours.received)


def test_what_nobody_renews_comes_back_in_order_and_counts_its_deliveries(peer, admin):
    first, second = peer().consume("q"), peer()
    first.send("q", 1, 2, 3)
    first.send("q", 4, priority=6)
    first.get(4)
    second.send("q", 5)

    second.channel.steps.sweep("q", 0)
    assert admin.llen("q\x06\x166") == 1

    for deliveries in (1, 2):
        second.consume("q") if deliveries == 1 else None
        assert second.get(5) == [1, 2, 3, 5, 4]
        counts = [message.headers.get("x-delivery-count", 0) for message in second.received]
        assert counts == [deliveries] * 3 + [deliveries - 1, deliveries]
        assert [message.delivery_info.get("redelivered", False) for message in second.received] == [
            count > 0 for count in counts
        ]
        marks = [message.headers.get("redelivered", False) for message in second.received]
        assert marks == [count > 0 for count in counts]
        second.channel.steps.sweep("q", 0)
        second.received.clear()
        second.channel.held.keep_only(set())


def test_the_sweep_looks_at_the_queues_of_every_channel(peer, admin):
    dead, alive = peer().consume("a", "b"), peer(unacked_restore_throttle=1)
    dead.send("a", 1)
    dead.send("b", 2)
    dead.get(2)
    dead.die()
    alive.consume("a")
    other = alive.connection.channel()
    other.basic_consume("b", no_ack=False, callback=alive.received.append, consumer_tag="b")

    for name in ("a", "b"):
        admin.zincrby(keys.unacked_index(name), -OLD, admin.zrange(keys.unacked_index(name), 0, 0)[0])
    alive.connection.transport.cycle.maybe_restore_messages()

    assert sorted(alive.get(2)) == [1, 2]


def test_the_late_acknowledgement_of_a_former_holder_removes_nothing_and_is_told(peer, admin, caplog):
    late, other = peer().consume("q"), peer().consume("q")
    late.send("q", 1)
    late.get(1)
    assert other.channel.steps.sweep("q", 0) == 1
    other.get(1)

    with event_loop(late) as run:
        late.received[0].ack()
        run(lambda: "after its lease had ended" in caplog.text)

    assert held(admin) == 1
    other.ack()
    assert held(admin) == waiting(admin) == 0


def test_messages_handed_back_keep_their_order_and_their_list(peer, admin):
    consumer, other = peer().consume("q"), peer().consume("q")
    consumer.send("q", 1, 2, 3)
    consumer.send("q", 4, 5, priority=6)
    consumer.get(5)
    consumer.close()

    assert admin.llen("q\x06\x166") == 2
    assert other.get(5) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("no_ack", [False, True])
def test_a_consumer_that_is_cancelled_while_a_claim_is_under_way_leaves_the_messages_in_order(peer, admin, no_ack):
    consumer, other = peer().consume("q", no_ack=no_ack), peer().consume("q")
    with event_loop(consumer) as run:
        consumer.connection.transport.cycle.on_poll_start()
        consumer.send("q", 1, 2, 3)
        consumer.channel.claims.idle = False
        run(lambda: not consumer.channel._in_poll)
        consumer.connection.transport.cycle.on_poll_start()
        consumer.consumers[0].cancel()
        run(lambda: consumer.channel.quiet)
        assert held(admin) == 0

    assert consumer.received == [] or no_ack
    assert other.get(3 - len(consumer.received)) == [1, 2, 3][len(consumer.received) :]


def test_closing_leaves_nothing_behind_and_hands_back_what_is_held(peer, admin):
    consumers = [peer().consume("q", "r") for _ in range(3)]
    for round_ in range(30):
        for consumer in consumers:
            consumer.turn(0.001)
        consumers[0].send("q" if round_ % 2 else "r", round_)
    for consumer in consumers:
        consumer.close()

    assert waiting(admin, "q") + waiting(admin, "r") == 30
    assert not [key for key in admin.keys("*") if key.startswith(("claiming", "unacked"))]


def test_purging_and_deleting_takes_what_is_on_its_way_too(peer, admin):
    consumer = peer()
    consumer.send("q", 1, 2)
    admin.lmove("q", keys.claiming("q"), "RIGHT", "LEFT")
    assert consumer.channel.queue_purge("q") == 2
    consumer.send("q", 1)
    admin.lmove("q", keys.claiming("q"), "RIGHT", "LEFT")
    consumer.channel.queue_delete("q")
    assert not admin.exists("q", keys.claiming("q"))


def test_a_message_that_comes_back_is_changed_in_nothing_but_its_marks(peer, admin):
    consumer = peer().consume("q")
    headers = {"delivery_info": {"mine": 1}, "redelivered": False, "list": [], "none": None, "number": 1.0e300}
    consumer.send("q", {"a": []}, headers=headers)
    consumer.get(1)
    consumer.received[0].requeue()
    again = consumer.get(2)[1]

    assert again == {"a": []}
    message = consumer.received[1]
    assert message.headers | {"redelivered": False} == headers and message.delivery_info["redelivered"]
