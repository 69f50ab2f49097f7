"""What the collector shows of real queues: what waits, what runs, who consumes, and for how long the oldest waits."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.runtime_worker import RuntimeWorker
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
# Looks more often than in life. RabbitMQ counts every 5 s all the same.
OFTEN = "import sys; from celery_runtime import cli, collector; collector.LOOK = 0.5; sys.exit(cli.main(sys.argv[1:]))"
COLLECTOR = {"command": ["collector"], "program": (sys.executable, "-c", OFTEN)}
QUEUES = "[queues.seen]\nconcurrency = 1\nage_target = 42\n[queues.other]\nscale = { max = 3 }\n"


@pytest.fixture
def environment(broker, request):
    variables = dict(request.getfixturevalue(f"on_{broker}"))
    if broker == "rabbitmq":
        container, _ = request.getfixturevalue("rabbitmq")
        variables["RABBITMQ_MANAGEMENT_URL"] = f"http://{address_of(container)}:15672"
    return variables


def address_of(container):
    container.reload()
    return next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]


@pytest.fixture
def collector(tmp_path, environment):
    folder = tmp_path / "collector"
    folder.mkdir()
    with RuntimeWorker(folder, environment, QUEUES, **COLLECTOR) as collector:
        yield collector


@pytest.fixture
def producer(collector, monkeypatch):
    producer = collector.producer(monkeypatch)
    with producer.connection_for_write() as connection:
        for queue in producer.amqp.queues.values():
            bound = queue(connection)
            bound.declare()
            bound.purge()
    yield producer
    producer.control.purge()
    producer.close()


def shown(collector):
    """Each sample of a queue, without its prefix, by name and queue; others by their name alone."""
    text = collector.get("/metrics")[1]
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {(s.name.removeprefix("celery_"), *s.labels.values()): s.value for s in samples}


def look(collector, **numbers):
    """Whether the queue `seen` has these numbers."""
    found = shown(collector)
    return all(found.get((f"queue_{name}", "seen")) == number for name, number in numbers.items())


def test_each_queue_is_shown_from_the_first_message_to_the_last(collector, producer, environment, tmp_path, broker):
    collector.wait(lambda: look(collector, ready=0, in_flight=0, consumers=0, dead_letters=0), "empty queues")
    assert shown(collector)["queue_oldest_seconds", "seen"] == 0
    assert shown(collector)["queue_age_target_seconds", "seen"] == 42
    assert shown(collector)["queue_slots_max", "other"] == 6

    began = time.time()
    for seconds in (6 if broker == "redis" else 12, 0, 0):
        later = {"priority": 9} if broker == "redis" and not seconds else {}
        producer.send_task("anyapp.sleep", [seconds], queue="seen", **later)
    collector.wait(lambda: look(collector, ready=3, in_flight=0), "what waits")
    if broker == "redis":
        assert shown(collector)["queue_ready_by_priority", "9", "seen"] == 2
        assert shown(collector)["queue_ready_by_priority", "0", "seen"] == 1
    collector.wait(lambda: shown(collector)["queue_oldest_seconds", "seen"] >= 2, "the oldest to grow old")
    assert shown(collector)["queue_oldest_seconds", "seen"] <= time.time() - began
    assert shown(collector)["queue_ready", "other"] == 0

    with RuntimeWorker(tmp_path, environment, QUEUES, ["worker", "seen"]):
        collector.wait(lambda: look(collector, ready=2, in_flight=1, consumers=1), "a task that runs")
        producer.send_task("anyapp.reject", queue="seen")
        collector.wait(lambda: look(collector, ready=0, in_flight=0, dead_letters=1), "the queue to be worked off")
        assert shown(collector)["queue_oldest_seconds", "seen"] == 0
    collector.wait(
        lambda: look(collector, ready=0, in_flight=0, consumers=0, dead_letters=1), "no worker, and its series"
    )
    assert not {name for name, *labels in shown(collector) if "127.0.0.1" in labels}


def test_a_message_of_a_foreign_producer_ages_since_it_was_seen(collector, producer, broker):
    if broker == "rabbitmq":
        pytest.skip("ages are reckoned there, whoever published")
    with producer.connection_for_write() as connection:
        connection.default_channel.client.lpush("seen", "not even a message of kombu")
    collector.wait(lambda: look(collector, ready=1), "what waits")
    collector.wait(lambda: shown(collector)["queue_oldest_seconds", "seen"] >= 1, "it to grow old")


def test_two_collectors_show_the_same_and_harm_nobody(collector, producer, environment, tmp_path):
    for n in range(5):
        producer.send_task("anyapp.add", [1, n], queue="seen")
    with RuntimeWorker(tmp_path, environment, QUEUES, **COLLECTOR) as second:
        for each in (collector, second):
            each.wait(lambda each=each: look(each, ready=5, in_flight=0, consumers=0), "what waits")


def test_a_broker_that_is_away_leaves_the_queues_out_and_is_told(environment, tmp_path, broker):
    port = free_port()
    away = {
        "redis": {"REDIS_URL": f"redis://127.0.0.1:{port}"},
        "rabbitmq": {"RABBITMQ_MANAGEMENT_URL": f"http://127.0.0.1:{port}"},
    }
    collector = RuntimeWorker(tmp_path, environment | away[broker], QUEUES, **COLLECTOR)
    collector.wait_for = "/livez"
    with collector:
        collector.wait(lambda: shown(collector).get(("collector_errors_total", "broker"), 0) >= 1, "an error")
        assert collector.get("/readyz")[0] == 503
        found = shown(collector)
        assert found["broker_up",] == 0 and found["redis_up",] == (broker == "rabbitmq")
        assert ("queue_ready", "seen") not in found
        assert found["queue_age_target_seconds", "seen"] == 42


def test_rabbitmq_itself_shows_what_the_rules_ask_it_for(rabbitmq):
    rules = "".join(path.read_text() for path in (ROOT / "deploy/prometheus/rules").glob("*.yaml"))
    asked = set(re.findall(r"\brabbitmq_\w+", rules))
    assert asked
    url = f"http://{address_of(rabbitmq[0])}:15692/metrics"
    shown = httpx.get(url, trust_env=False).text
    assert not {name for name in asked if f"\n{name}" not in shown}


def test_redis_is_shown_with_either_broker(collector):
    collector.wait(lambda: shown(collector).get(("redis_up",)) == 1, "Redis")
    found = shown(collector)
    assert found["redis_memory_max_bytes",] == 384 << 20
    assert 0 < found["redis_memory_used_bytes",] < found["redis_memory_max_bytes",]
    assert (found["redis_evicted_keys",], found["redis_persistence_ok",]) == (0, 1)
