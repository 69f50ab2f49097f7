from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from celery import Celery
from kombu import Queue as KombuQueue
from prometheus_client.parser import text_string_to_metric_families

from celery_runtime import metrics, publish_metrics
from celery_runtime.collector import Collector, Numbers, QueueNumbers
from celery_runtime.collector.rabbitmq import Heads
from celery_runtime.collector.redis import due_of
from celery_runtime.queues import load_queues


def message(**headers):
    return json.dumps({"body": "", "headers": headers, "properties": {}}).encode()


def test_a_message_is_due_when_it_was_published_or_later():
    assert due_of(message(published_at=100.0)) == 100
    assert due_of(message(published_at=100.0, eta="1970-01-01T00:05:00+00:00")) == 300
    assert due_of(message(published_at=400.0, eta="1970-01-01T00:05:00+00:00")) == 400


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"\xff", message(), message(published_at="x"), message(published_at=1, eta=2)]
)
def test_what_does_not_say_when_it_was_published_has_no_time(raw):
    assert due_of(raw) is None


class Queue:
    """Looks at a queue of RabbitMQ every 5 s."""

    def __init__(self):
        self.heads, self.now = Heads(), 0.0

    def look(self, ready, left):
        self.now += 5
        return self.heads.age(self.now, ready, left)


def test_the_head_is_as_old_as_the_look_that_saw_it_enter():
    queue = Queue()
    assert queue.look(0, 0) == 0
    assert [queue.look(2, 0), queue.look(2, 0), queue.look(3, 0)] == [0, 5, 10]  # at 10 s two came, at 20 s a third
    assert queue.look(1, 2) == 5  # the third is the head
    assert queue.look(0, 3) == 0


def test_a_purge_and_a_restart_of_the_broker_make_nothing_younger_or_older():
    queue = Queue()
    queue.look(0, 0)
    queue.look(5, 100)
    assert queue.look(5, 0) == 5  # its counts began anew
    assert queue.look(0, 0) == 0  # purged
    assert [queue.look(1, 0), queue.look(1, 0)] == [0, 5]


def test_a_queue_that_is_never_empty_is_as_old_as_its_head():
    queue = Queue()
    ages = [queue.look(10, 10 * n) for n in range(50)]  # ten come and ten go between two looks
    assert ages[0] == 0 and set(ages[2:]) == {0.0}
    assert [queue.look(10 + n, 490) for n in range(4)] == [5, 10, 15, 20]


INFO = {
    "used_memory": 5,
    "maxmemory": 10,
    "evicted_keys": 0,
    "connected_clients": 3,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "rdb_last_bgsave_status": "ok",
}


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """Looks once, at a broker and a Redis that answer as told; returns whether that went well, and what is shown."""
    monkeypatch.setattr(metrics, "_counts", Counter())
    monkeypatch.setattr(metrics, "_gauges", {})
    (tmp_path / "queues.toml").write_text("[queues.media]\nage_target = 7\n[queues.ai]\n")

    def look(broker, redis):
        collector = Collector(load_queues(tmp_path / "queues.toml"), SimpleNamespace(look=broker), redis)
        collector.show()
        answered = collector.look()
        samples = [s for f in text_string_to_metric_families(metrics.exposition()[0].decode()) for s in f.samples]
        return answered, {(s.name.removeprefix("celery_"), *s.labels.values()): s.value for s in samples}

    return look


def away(*_):
    raise ConnectionError("away")


def test_every_queue_has_its_series_from_the_first_look(seen):
    numbers = Numbers({"media": QueueNumbers(ready=3, oldest=8.5, by_priority={"0": 3}), "ai": QueueNumbers()}, 2)
    answered, shown = seen(lambda queues: numbers, SimpleNamespace(info=lambda: INFO))

    assert answered
    assert (shown["queue_ready", "media"], shown["queue_ready", "ai"], shown["queue_oldest_seconds", "media"]) == (
        3,
        0,
        8.5,
    )
    assert (shown["queue_ready_by_priority", "0", "media"], shown["delayed",], shown["broker_up",]) == (3, 2, 1)
    assert (shown["queue_age_target_seconds", "media"], shown["queue_slots_max", "ai"]) == (7, 8)
    assert (shown["redis_up",], shown["redis_persistence_ok",]) == (1, 1)
    assert shown["collector_errors_total", "broker"] == shown["collector_errors_total", "redis"] == 0


def test_without_the_broker_its_numbers_are_missing_and_not_old(seen):
    answered, shown = seen(away, SimpleNamespace(info=lambda: INFO))

    assert not answered
    assert (shown["broker_up",], shown["redis_up",], shown["collector_errors_total", "broker"]) == (0, 1, 1)
    assert not [sample for sample in shown if sample[0] in {"queue_ready", "queue_oldest_seconds", "delayed"}]
    assert shown["queue_age_target_seconds", "media"] == 7


@pytest.mark.parametrize("wrong", ["aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"])
def test_a_redis_that_cannot_write_is_told(seen, wrong):
    _, shown = seen(lambda queues: Numbers({}), SimpleNamespace(info=lambda: INFO | {wrong: "err"}))
    assert shown["redis_persistence_ok",] == 0


@pytest.mark.parametrize(
    ("options", "queue"),
    [
        ({"queue": KombuQueue("media")}, "media"),
        ({"queue": "ai"}, "ai"),
        ({"exchange": "celery_delayed_27", "routing_key": "0.0.1.1.media"}, "media"),
        ({"routing_key": "made-up-7f3a"}, "other"),
        ({}, "other"),
    ],
)
def test_a_publish_is_counted_by_a_queue_that_exists(options, queue):
    app = Celery(set_as_current=False)
    app.conf.task_queues = [KombuQueue(name) for name in ("media", "ai")]
    assert publish_metrics._queue_of(app, options) == queue
