"""What a worker and a Beat tell Prometheus, after real tasks on both brokers."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress

import pytest
from kombu.exceptions import OperationalError
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from celery_runtime import metrics, publishing
from tests.integration.conftest import on_each_pool
from tests.integration.runtime_worker import RuntimeWorker
from tests.ports import free_port

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PUBLISHED = {"add": 5, "fail": 1, "retry": 1, "reject": 1, "ignore": 1}
OUTCOMES = {
    "add": {"succeeded": 5},
    "fail": {"failed": 1},
    "retry": {"retried": 1, "failed": 1},
    "reject": {"rejected": 1},
    "ignore": {"ignored": 1},
}


@pytest.fixture
def environment(broker, request):
    return request.getfixturevalue(f"on_{broker}")


@pytest.fixture
def start(tmp_path, environment):
    """Starts a worker with `pool`; every worker is stopped at the end."""
    started = []

    def start(pool="direct", queue="", **variables):
        concurrency = 1 if pool == "solo" else 2
        queues = f"[queues.anyapp]\npool = '{pool}'\nconcurrency = {concurrency}\n{queue}"
        started.append(RuntimeWorker(tmp_path, environment, queues, **variables))
        return started[-1].__enter__()

    yield start
    for worker in started:
        worker.__exit__()


def scrape(worker):
    """Each sample by its name and its labels' values in the alphabetical order of the labels."""
    status, text = worker.get("/metrics")
    assert status == 200, text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def samples_of(samples, name):
    """The sum of all series of a name."""
    return sum(value for key, value in samples.items() if key[0] == name)


def ended(samples, task):
    def is_of_task(key):
        return key[0] == "celery_tasks_ended_total" and key[2:] == ("anyapp", f"anyapp.{task}")

    return {key[1]: value for key, value in samples.items() if is_of_task(key) and value}


@on_each_pool
def test_each_delivery_is_counted_with_its_outcome_and_its_times(start, broker, pool, monkeypatch):
    worker = start(pool)
    producer = worker.producer(monkeypatch)
    for task, number in PUBLISHED.items():
        for _ in range(number):
            producer.send_task(f"anyapp.{task}", [1, 2] if task == "add" else [])

    worker.wait(lambda: {t: ended(scrape(worker), t) for t in OUTCOMES} == OUTCOMES, "every outcome to be counted")

    samples = scrape(worker)
    for name in ("celery_tasks_received_total", "celery_tasks_started_total", "celery_task_run_seconds_count"):
        assert samples[name, "anyapp", "anyapp.add"] == 5
    assert samples["celery_task_wait_seconds_count", "anyapp"] == samples_of(samples, "celery_tasks_started_total")
    assert 0 < samples["celery_task_wait_seconds_sum", "anyapp"] < 300
    if broker == "redis":  # RabbitMQ parks what is rejected itself
        parked = ("celery_dead_letters_total", "anyapp", "rejected", "anyapp.reject")
        worker.wait(lambda: scrape(worker).get(parked) == 1, "the dead letter to be counted")
    assert samples["celery_slots",] == (1 if pool == "solo" else 2)
    assert samples["celery_state", "ready"] == 1
    producer.close()


def test_a_task_over_its_limit_a_killed_child_and_one_that_is_used_up_are_told_apart(start, broker, monkeypatch):
    worker = start(queue="max_tasks_per_child = 3\n")
    producer = worker.producer(monkeypatch)
    ends = ("recycled", "time_limit", "lost")

    def restarts():
        return {end: scrape(worker)["celery_child_restarts_total", end] for end in ends}

    assert restarts() == {"recycled": 0, "time_limit": 0, "lost": 0}
    assert scrape(worker)["celery_dead_letters_total", "anyapp", "poison", "other"] == 0
    for _ in range(8):
        producer.send_task("anyapp.add", [1, 1])
    worker.wait(lambda: restarts()["recycled"] >= 2, "a child to be used up")
    assert restarts()["lost"] == 0
    if broker == "redis":  # Celery's own pool doesn't tell it from the next
        producer.send_task("anyapp.sleep", [60], time_limit=1)
        worker.wait(lambda: restarts()["time_limit"] == 1, "a task to be stopped")
        assert restarts()["lost"] == 0
    producer.send_task("anyapp.crash")
    worker.wait(lambda: restarts()["lost"] >= 1, "a child to be killed")
    assert restarts()["time_limit"] == (broker == "redis")
    producer.close()


def test_a_scrape_of_forty_tasks_is_small_and_its_examples_name_them(start, monkeypatch):
    worker = start(CELERY_APP="manytasks:app")
    producer = worker.producer(monkeypatch)
    sent = {producer.send_task(f"app.tasks.reminders.remind_{number:02}").id for number in range(40)}
    worker.wait(lambda: samples_of(scrape(worker), "celery_tasks_ended_total") == len(sent), "all tasks to be counted")

    text = worker.get("/metrics", Accept=OPENMETRICS)[1]
    found = {s.exemplar.labels["task_id"] for family in openmetrics(text) for s in family.samples if s.exemplar}
    assert found == sent
    assert len(text) < 60_000
    producer.close()


def test_a_task_beyond_its_limit_and_what_waits_for_its_time_are_shown(start, broker, monkeypatch):
    if broker == "rabbitmq":
        pytest.skip("what waits for its time is not at the worker there, and overdue is the pool's")
    worker = start("threads", queue="time_limit = 2\nsoft_time_limit = 1\n")  # a pool that ends no task
    producer = worker.producer(monkeypatch)
    producer.send_task("anyapp.sleep", [8])
    producer.send_task("anyapp.add", [1, 1], countdown=3600)

    worker.wait(lambda: scrape(worker)["celery_prefetched",] == 1, "the later task to be held")
    worker.wait(lambda: scrape(worker)["celery_overdue_task_seconds",] > 1, "the long task to be overdue")
    worker.wait(lambda: scrape(worker)["celery_overdue_task_seconds",] == 0, "it to end")
    assert scrape(worker)["celery_loop_alive",] == 1
    producer.control.purge()
    producer.close()


def test_a_producer_counts_what_the_broker_took_and_what_it_did_not(environment, broker, tmp_path, monkeypatch):
    worker = RuntimeWorker(tmp_path, environment)  # never started
    producer = worker.producer(monkeypatch)
    monkeypatch.setattr(metrics, "_counts", Counter())
    monkeypatch.setattr(metrics, "publishing", metrics.Times((1.0,)))
    publishing.publish(producer, [producer.signature("anyapp.add", (1, n)) for n in range(3)])
    producer.send_task("anyapp.add", [1, 1])

    assert metrics.counts()["published", ("anyapp",)] == 4
    assert sum(metrics.publishing.counts) == 2  # a batch, and one by itself
    producer.control.purge()
    producer.close()

    port = free_port()
    broken = environment | {"REDIS_URL": f"redis://127.0.0.1:{port}", "RABBITMQ_URL": f"amqp://127.0.0.1:{port}"}
    producer = RuntimeWorker(tmp_path, broken, PUBLISH_TIMEOUT=0.5).producer(monkeypatch)
    for work in (
        lambda: publishing.publish(producer, [producer.signature("anyapp.add", (1, 1))], 1.0),
        lambda: producer.send_task("anyapp.add", [1, 1], retry=False),
    ):
        with pytest.raises((publishing.BrokerAwayError, OperationalError)):
            work()
    deadline = time.monotonic() + 15
    while (lost := sum(n for (name, _), n in metrics.counts().items() if name == "publish_errors")) < 2:
        assert time.monotonic() < deadline, lost
        time.sleep(0.05)
    producer.close()


def test_what_runs_what_is_revoked_and_what_kills_its_process(start, monkeypatch):
    worker = start()
    producer = worker.producer(monkeypatch)
    running = producer.send_task("anyapp.sleep", [3600], time_limit=3600, soft_time_limit=3600)
    worker.wait(lambda: scrape(worker).get(("celery_slots_busy",)) == 1, "a busy slot")
    worker.wait(lambda: scrape(worker)["celery_oldest_task_seconds",] > 1, "the task to grow older")

    running.revoke(terminate=True)
    worker.wait(lambda: ended(scrape(worker), "sleep") == {"revoked": 1}, "the revoked task to be counted")
    producer.send_task("anyapp.add", [1, 1], countdown=2, expires=1)
    worker.wait(lambda: ended(scrape(worker), "add") == {"revoked": 1}, "the expired task to be counted")
    producer.send_task("anyapp.crash")
    worker.wait(lambda: ended(scrape(worker), "crash") == {"failed": 1}, "the crashed task to be counted")
    worker.wait(lambda: scrape(worker)["celery_slots_busy",] == 0, "free slots")
    producer.close()


def test_a_made_up_name_makes_no_series_and_no_label_tells_who_and_where(start, monkeypatch):
    worker = start()
    producer = worker.producer(monkeypatch)
    task = producer.send_task("anyapp.add", [1, 2], shadow="shadow-7f3a")
    worker.wait(lambda: ended(scrape(worker), "add") == {"succeeded": 1}, "the task to be counted")

    text = worker.get("/metrics")[1]
    for secret in ("shadow-7f3a", task.id, str(worker.process.pid), "127.0.0.1", "anyapp@"):
        assert secret not in text
    producer.close()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # seconds
def test_fifty_replaced_workers_show_the_same_series(start, broker, monkeypatch):
    if broker == "rabbitmq":
        pytest.skip("what a worker shows is the same there")
    shown = []
    for _ in range(51):
        worker = start()
        producer = worker.producer(monkeypatch)
        producer.send_task("anyapp.add", [1, 2])
        worker.wait(lambda worker=worker: ended(scrape(worker), "add") == {"succeeded": 1}, "the task to be counted")
        shown.append(set(scrape(worker)))
        worker.__exit__()
        producer.close()
    assert set.union(*shown) == shown[0]


@pytest.mark.parametrize("pool", ["direct", "prefork"])
def test_a_lost_connection_is_counted_and_what_it_cost(start, broker, request, monkeypatch, pool):
    if broker == "redis":
        pytest.skip("the ACL of the stack lets nobody cut Redis' connections; tests/chaos does")
    worker = start(pool)
    producer = worker.producer(monkeypatch)
    producer.send_task("anyapp.sleep", [10])
    worker.wait(lambda: scrape(worker).get(("celery_slots_busy",)) == 1, "the task to start")

    container, _ = request.getfixturevalue("rabbitmq")
    assert (
        container.exec_run(["rabbitmqctl", "close_all_connections", "--global", "test"], user="rabbitmq").exit_code == 0
    )

    worker.wait(lambda: scrape(worker)["celery_reconnects_total",] == 1, "the worker to come back")
    worker.wait(lambda: ended(scrape(worker), "sleep").get("succeeded") == 1, "the task to end")
    again = pool == "prefork"  # the direct pool goes on with the task, and runs no other
    samples = scrape(worker)
    assert samples.get(("celery_tasks_redelivered_total", "anyapp", "anyapp.sleep"), 0) == again
    assert samples["celery_tasks_started_total", "anyapp", "anyapp.sleep"] == 1 + again
    worker.wait(lambda: scrape(worker)["celery_prefetched",] == 0, "the second delivery to be settled")
    producer.close()


def test_without_the_part_nothing_is_counted_or_stamped(start, monkeypatch):
    worker = start(RUNTIME_OFF="metrics")
    assert worker.get("/metrics")[0] == 404
    assert worker.get("/readyz")[0] == 200


def test_beat_tells_of_its_ticks_and_of_what_it_sent(tmp_path, environment, broker):
    if broker == "rabbitmq":
        pytest.skip("the schedule is in Redis with either broker")
    with RuntimeWorker(tmp_path, environment, command=["beat"], CELERY_APP="anyapp:app", SCHEDULE="1") as beat:
        beat.wait(lambda: scrape(beat)["celery_beat_sent_total",] >= 2, "two entries to be sent")

        samples = scrape(beat)
        assert time.time() - 60 < samples["celery_beat_last_tick_timestamp_seconds",] <= time.time()
        assert samples["celery_beat_entries",] >= 1
        assert samples["celery_beat_lateness_seconds",] >= 0
        assert ("celery_slots",) not in samples


@pytest.mark.parametrize("pool", ["direct", "prefork"])
def test_whoever_reads_events_hears_of_each_task_from_its_receipt_to_its_end(start, pool, monkeypatch):
    worker = start(pool, EVENTS="1")
    producer = worker.producer(monkeypatch)
    heard = {}

    def hear(event):
        heard.setdefault(event["uuid"], []).append(event)

    def kinds(task):
        return [event["type"].removeprefix("task-") for event in heard.get(task.id, ())]

    with producer.connection_for_read() as connection:
        receiver = producer.events.Receiver(connection, handlers={"task-received": hear, "task-started": hear} | {
            f"task-{kind}": hear for kind in ("succeeded", "failed", "retried")
        })  # fmt: skip
        with receiver.consumer_context() as (reading, _, _):

            def until(condition):
                deadline = time.monotonic() + 30
                while not condition():
                    assert time.monotonic() < deadline, {
                        task: [e["type"] for e in all_] for task, all_ in heard.items()
                    }
                    with suppress(TimeoutError):
                        reading.drain_events(timeout=0.2)

            quick = [producer.send_task("anyapp.add", [1, 2]) for _ in range(10)]
            failing, slow = producer.send_task("anyapp.fail"), producer.send_task("anyapp.sleep", [3])
            until(lambda: "started" in kinds(slow))
            assert "succeeded" not in kinds(slow)
            until(lambda: kinds(slow)[-1] == "succeeded" and kinds(failing)[-1:] == ["failed"])
            until(lambda: all(kinds(task) == ["received", "started", "succeeded"] for task in quick))

    assert kinds(slow) == ["received", "started", "succeeded"]
    assert kinds(failing) == ["received", "started", "failed"]
    received, begun, ended = heard[quick[0].id]
    assert (received["name"], received["args"], ended["result"]) == ("anyapp.add", "[1, 2]", "3")
    assert received["hostname"].startswith("anyapp@") and begun["pid"] == worker.process.pid
    producer.close()
