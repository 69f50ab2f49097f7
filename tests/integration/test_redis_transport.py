"""From a list on Redis to a consumer: claimed in one step, in order, within its limits, without waste."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from celery_runtime.redis_transport import keys
from tests.integration.redis_peers import STOCK, event_loop, held, waiting
from tests.integration.redis_servers import command_counts, commands_since

IDLE = 5  # commands per second of one waiting consumer: a BLMOVE for each of four lists, and a look


def test_a_message_is_at_every_moment_in_one_place_and_after_its_acknowledgement_in_none(peer, admin):
    consumer = peer().consume("q")
    consumer.send("q", *range(300))
    counts, done = [], threading.Event()

    def watch():
        while not done.is_set():
            with admin.pipeline() as transaction:
                transaction.llen("q").llen(keys.claiming("q"))
                transaction.hlen(keys.unacked("q")).zcard(keys.unacked_index("q"))
                counts.append(transaction.execute())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert consumer.get(300) == list(range(300))
    finally:
        done.set()
        watcher.join()

    assert {listed + claiming + unacked for listed, claiming, unacked, _ in counts} == {300}
    assert all(unacked == indexed for _, _, unacked, indexed in counts)
    consumer.ack()
    assert set(admin.keys("*q")) == {"_kombu.binding.q", "_kombu.binding_permanent.q"}


def test_the_most_urgent_message_of_all_queues_comes_first_and_no_queue_starves(peer, admin):
    # kombu's order on Redis: 0 is the most urgent priority, 9 the least
    names = ["a", "b", "c"]
    producer = peer()
    for name in names:
        for priority in (0, 3, 6, 9):
            producer.send(name, *[[name, priority]] * 20, priority=priority)
    consumer = peer().consume(*names)

    bodies = consumer.get(240)

    assert [priority for _, priority in bodies] == [0] * 60 + [3] * 60 + [6] * 60 + [9] * 60
    first = Counter(name for name, _ in bodies[:30])
    assert first == {"a": 10, "b": 10, "c": 10}


def test_a_message_to_any_idle_list_is_delivered_at_once(peer):
    consumer, producer = peer().consume("a", "b"), peer()
    lists = [(name, priority) for name in ("a", "b") for priority in (9, 0, 6, 3)]
    consumer.turn(0.5)
    began = time.monotonic()

    for number, (name, priority) in enumerate(lists * 3, 1):
        producer.send(name, number, priority=priority)
        consumer.get(number)
        consumer.turn(0.05)

    assert time.monotonic() - began < 24 * 0.5  # a look every second alone would take 24 s


def test_a_prefix_of_all_keys_is_kept_with_producers_of_kombu(peer, admin):
    consumer = peer(global_keyprefix="site.").consume("q")
    peer(STOCK, global_keyprefix="site.").send("q", *range(5), priority=6)

    assert consumer.get(5) == list(range(5))
    assert all(key.startswith("site.") for key in admin.keys("*"))

    consumer.received[0].requeue()
    consumer.received[1].ack()
    assert consumer.channel.steps.sweep("q", 0) == 3
    assert admin.hlen("site.unacked:q") == 0 and sum(admin.llen(key) for key in admin.keys("site.q*")) == 4


def test_a_consumer_takes_no_more_than_its_prefetch_limit_and_goes_on_when_there_is_room(peer, admin):
    consumer = peer().consume("q", prefetch=2)
    consumer.send("q", *range(6))
    with event_loop(consumer) as run:
        run(lambda: len(consumer.received) == 2)
        before = command_counts(admin)
        until_then = time.monotonic() + 1.5
        run(lambda: time.monotonic() > until_then)

        assert len(consumer.received) == 2 and waiting(admin) == 4
        assert sum(commands_since(admin, before).get(name, 0) for name in ("evalsha", "blmove")) <= 8

        for count in (4, 5, 6):
            consumer.received[count - 3].ack()
            if count == 4:
                consumer.received[0].ack()
            run(lambda count=count: len(consumer.received) >= count)
        assert consumer.bodies == list(range(6)) and held(admin) == 2


def test_a_message_for_a_consumer_that_is_full_goes_to_one_that_is_not(peer, admin):
    full_one, free = peer().consume("q", prefetch=1), peer().consume("q", prefetch=1)
    with event_loop(full_one) as run:
        started = time.monotonic() + 0.3
        run(lambda: time.monotonic() > started)  # it waits on all lists
        full_one.send("q", 0, priority=9)
        run(lambda: full_one.received)
        full_one.send("q", 1, priority=3)
        run(lambda: admin.llen("q\x06\x163") == 1)

        def one_takes_it():
            free.turn(0.01)
            return free.received

        run(one_takes_it, 5)
        assert free.bodies == [1] and full_one.bodies == [0]


def test_one_message_wakes_one_of_many_waiting_consumers(peer, admin):
    consumers = [peer() for _ in range(16)]
    for consumer in consumers:
        consumer.consume("q", prefetch=1, on_message=lambda message: (done.append(message.payload), message.ack()))
    done, count = [], 200
    with event_loop(*consumers) as run:
        producer = peer()
        ready = time.monotonic() + 1
        run(lambda: time.monotonic() > ready)
        before, began = command_counts(admin), time.monotonic()
        for number in range(count):
            producer.send("q", number)
            run(lambda number=number: len(done) > number)
        took = time.monotonic() - began
        settled = time.monotonic() + 0.2
        run(lambda: time.monotonic() > settled)

        sent = commands_since(admin, before)
    assert done == list(range(count))
    asked = sent["evalsha"] + sent["blmove"]
    assert asked <= 3 * count + len(consumers) * IDLE * (took + 1.2)
    assert sent["blmove"] <= count + 4 * len(consumers) * (took + 1.2)


def test_a_consumer_of_plain_kombu_shares_the_queue(peer, admin):
    ours, stock, producer = peer().consume("q", prefetch=3), peer(STOCK).consume("q", prefetch=3), peer(STOCK)
    producer.send("q", *range(200), priority=3)
    seen = {ours: [], stock: []}

    def both():
        for one in seen:
            one.turn(0.01)
            seen[one] += one.bodies
            one.ack()
        return sum(map(len, seen.values())) >= 200

    ours.until(both)
    assert sorted(seen[ours] + seen[stock]) == list(range(200)) and all(seen.values())
    assert waiting(admin) == held(admin) == admin.hlen("unacked") == 0


@pytest.mark.parametrize("queue", ["größe", "a:b/c", 'say "q", "r"', "a b", "{q}", "back\\slash"])
def test_any_name_of_a_queue_will_do(peer, admin, queue):
    consumer, other = peer().consume(queue), peer().consume(queue)
    consumer.send(queue, 1, 2)
    consumer.get(2)
    consumer.received[0].ack()
    consumer.close()

    assert other.get(1) == [2]
    assert other.channel.steps.sweep(queue, 0) == 1
    assert other.get(2) == [2, 2] and other.received[1].headers["x-delivery-count"] == 1
    other.received[1].requeue()
    assert held(admin, queue) == 0 and admin.llen(queue) == 1


def test_a_channel_that_consumed_without_acknowledgement_records_again_when_it_must(peer, admin):
    consumer = peer().consume("q", no_ack=True)
    consumer.send("q", 1)
    consumer.get(1)
    assert held(admin) == 0
    consumer.consumers[0].cancel()
    consumer.consume("q")
    consumer.send("q", 2)
    consumer.get(2)
    assert held(admin) == 1


def test_a_message_is_fetched_one_by_one_too(peer, admin):
    consumer = peer()
    consumer.send("q", 1, 2, 3)
    first = consumer.channel.basic_get("q")
    assert first.payload == 1 and held(admin) == 1
    assert consumer.channel.basic_get("q", no_ack=True).payload == 2 and held(admin) == 1
    first.ack()
    assert held(admin) == 0
    assert consumer.channel.basic_get("q").payload == 3
    assert consumer.channel.basic_get("q") is None
    consumer.close()
    assert waiting(admin) == 1


def test_a_backlog_is_claimed_in_batches_that_carry_the_acknowledgements(peer, admin):
    consumer, done = peer(), []
    consumer.consume("q", prefetch=8, on_message=lambda message: (done.append(message.payload), message.ack()))
    consumer.send("q", *range(400))
    before = command_counts(admin)
    with event_loop(consumer) as run:
        run(lambda: len(done) == 400 and consumer.channel.quiet is False)
        run(lambda: held(admin) == 0)
        sent = commands_since(admin, before)
    assert done == list(range(400))
    assert sent["evalsha"] <= 400 / 8 + 20
