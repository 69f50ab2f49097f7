"""Many messages in few round trips: in order, confirmed, and never counted too high."""

from __future__ import annotations

import time
from collections import Counter
from uuid import uuid4

import pytest
from celery import Celery, chord, group, signals
from kombu import Queue
from kombu.exceptions import EncodeError, OperationalError
from redis import Redis

from celery_runtime import batches, install
from celery_runtime.publishing import BrokerAwayError, publish
from tests.integration.conftest import PASSWORD
from tests.integration.proxy import Proxy
from tests.integration.runtime_worker import RuntimeWorker

MANY = 2 * batches.SIZE + 30


@pytest.fixture
def variables(broker, request):
    """What an app's processes get, on each broker."""
    return request.getfixturevalue(f"on_{broker}")


@pytest.fixture
def make(variables, tmp_path, monkeypatch):
    """Makes the app of a publisher with a queue of its own, whose broker is reached at `port`."""
    apps = []
    queue = f"batch-{uuid4().hex}"
    (tmp_path / "queues.toml").write_text(f"[queues.{queue}]\n")

    def make(port=None):
        url = f"{variables['BROKER'].upper()}_URL"
        address, _, path = variables[url].rpartition("/")
        if port:
            address = f"{address.rpartition(':')[0]}:{port}"
        for name, value in {**variables, url: f"{address}/{path}", "QUEUES_FILE": tmp_path / "queues.toml"}.items():
            monkeypatch.setenv(name, str(value))
        apps.append(install(Celery("batches", set_as_current=False)))
        return apps[-1]

    yield make
    with make().connection_for_write() as connection:
        connection.default_channel.queue_delete(queue)
    for app in apps:
        app.backend.client.close()
        app.close()


@pytest.fixture
def app(make):
    return make()


@pytest.fixture
def never_old(monkeypatch):
    """A batch is sent when it is full: on a busy machine the first message may be old before the next one comes."""
    monkeypatch.setattr(batches, "AGE", 60)


def waiting(app):
    """Take what waits in the queue of `app`: the headers of each message, the oldest first."""
    with app.connection_for_read() as connection:
        queue = app.amqp.queues[app.conf.task_default_queue](connection.default_channel)
        return [message.headers for message in iter(lambda: queue.get(no_ack=True), None)]


def port_of(variables):
    url = variables[f"{variables['BROKER'].upper()}_URL"]
    return int(url.rpartition("/")[0].rpartition(":")[2])


def ids(messages):
    return [headers["id"] for headers in messages]


def test_what_is_published_arrives_in_order_and_in_few_trips(app, never_old, broker, redis):
    tasks = [app.signature("any", args=[n], task_id=f"{n}-{uuid4()}") for n in range(MANY)]
    with Redis.from_url(redis[1].replace("celery@", f"celery:{PASSWORD}@")) as server:
        before = lpushes(server)
        assert publish(app, tasks) == MANY
        assert lpushes(server) - before <= (MANY // batches.SIZE + 5 if broker == "redis" else 0)
    assert ids(waiting(app)) == [task.options["task_id"] for task in tasks]


def lpushes(server):
    return server.info("commandstats").get("cmdstat_lpush", {}).get("calls", 0)


def test_tasks_that_come_slowly_are_not_held_back(app, monkeypatch):
    monkeypatch.setattr(batches, "AGE", 0)
    arrived = []

    def tasks():
        for _ in range(3):
            yield app.signature("any")
            arrived.append(len(waiting(app)))

    assert publish(app, tasks()) == 3
    assert arrived == [1, 1, 1]


def test_a_group_is_published_in_order_and_each_task_is_told_of_once_the_broker_has_it(app, never_old):
    app.conf.task_send_sent_event = True
    told, before = [], []

    def after(headers, **_):
        assert len(before) > len(told)
        told.append(headers["id"])

    signals.before_task_publish.connect(
        lambda headers, **_: before.append(headers["id"]), weak=False, sender="of-group"
    )
    signals.after_task_publish.connect(after, sender="of-group")
    parts = [app.signature("of-group", args=[n]) for n in range(MANY)]
    first_confirmed_after = []

    def first(**_):
        first_confirmed_after.append(len(before))
        signals.after_task_publish.disconnect(first, sender="of-group")

    signals.after_task_publish.connect(first, sender="of-group")
    result = group(parts, app=app).apply_async()

    messages = waiting(app)
    assert told == before == ids(messages) == [part.id for part in result]
    assert {headers["group"] for headers in messages} == {result.id}
    assert first_confirmed_after[0] > 1  # not when it was held back


def test_nobody_is_told_of_a_task_that_the_broker_did_not_take(make, variables):
    told = []
    proxy = Proxy(port_of(variables), lambda data: b"never" in data)
    proxy.open()
    app = make(proxy.port)
    app.conf.task_publish_retry_policy = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

    def after(**_):
        told.append(1)

    signals.after_task_publish.connect(after, sender="never")
    try:
        with pytest.raises(BrokerAwayError) as away:
            publish(app, [app.signature("never") for _ in range(3)], 10)
        assert away.value.accepted == 0 and not told
        with pytest.raises(OperationalError):
            group([app.signature("never") for _ in range(3)], app=app).apply_async()
        assert not told
    finally:
        proxy.close()


def test_a_batch_that_lost_its_connection_is_sent_again_with_the_same_ids(make, variables):
    cut = []

    def cut_once(data):
        if b"twice" in data and not cut:
            cut.append(True)
            return True
        return False

    proxy = Proxy(port_of(variables), cut_once)
    proxy.open()
    app = make(proxy.port)
    try:
        tasks = [app.signature("twice", args=[n], task_id=str(uuid4())) for n in range(20)]
        assert publish(app, tasks, 10) == 20
    finally:
        proxy.close()
    arrived = ids(waiting(make()))
    assert cut and set(arrived) == {task.options["task_id"] for task in tasks}
    assert max(Counter(arrived).values()) <= 2


def test_what_comes_before_a_task_that_cannot_be_published_is_published(app):
    tasks = [app.signature("any", args=[n]) for n in (1, 2)]
    bad = app.signature("any", args=[object()])
    with pytest.raises(EncodeError):
        publish(app, [*tasks, bad, *tasks])
    assert len(waiting(app)) == 2
    with pytest.raises(EncodeError):
        group([*tasks, bad], app=app).apply_async()
    assert len(waiting(app)) == 2


def test_an_app_without_the_runtime_publishes_its_groups_one_by_one(app):
    plain = Celery("plain", broker=app.conf.broker_url, set_as_current=False)
    names = ("task_queues", "task_default_queue", "broker_transport_options")
    plain.conf.update({name: app.conf[name] for name in names})
    arrived = []
    signals.after_task_publish.connect(lambda **_: arrived.append(len(waiting(app))), sender="plain", weak=False)
    group([plain.signature("plain") for _ in range(3)], app=plain).apply_async()
    plain.close()
    assert arrived == [1, 1, 1]


def test_a_queue_that_refuses_is_counted_up_to_its_first_refusal(on_rabbitmq):
    arguments = {"x-max-length": 5, "x-overflow": "reject-publish"}
    name = f"full-{uuid4().hex}"
    app = Celery(
        "full", broker=on_rabbitmq["RABBITMQ_URL"].replace("celery@", f"celery:{PASSWORD}@"), set_as_current=False
    )
    app.conf.update(
        task_queues=[Queue(name, routing_key=name, queue_arguments=arguments, durable=True)],
        task_default_queue=name,
        broker_transport_options={"confirm_publish": True},
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
    )
    with pytest.raises(BrokerAwayError) as full:
        publish(app, [app.signature("any") for _ in range(20)], 10)
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        assert 1 <= full.value.accepted <= channel.queue_declare(name, passive=True).message_count < 20
        channel.queue_delete(name)
    app.close()


def test_chords_and_groups_of_several_batches_end_with_their_results(variables, tmp_path, monkeypatch):
    numbers = list(range(batches.SIZE + 20))
    with RuntimeWorker(tmp_path, variables, "[queues.anyapp]\nconcurrency = 2\n") as worker:
        producer = worker.producer(monkeypatch)
        try:
            header = [producer.signature("anyapp.add", args=[n, 1]) for n in numbers]
            body = producer.signature("anyapp.add", kwargs={"b": []})
            assert chord(header, app=producer)(body).get(timeout=60) == [n + 1 for n in numbers]
            assert group(header, app=producer).apply_async().get(timeout=60) == [n + 1 for n in numbers]
            later = producer.signature("anyapp.add", args=[5])
            nested = group([chord(header[:3], body, app=producer), header[0], header[1] | later])
            assert group(nested, app=producer).apply_async().get(timeout=60) == [[1, 2, 3], 1, 7]
        finally:
            producer.backend.result_consumer.stop()
            producer.close()


def test_a_chords_header_that_is_slow_in_coming_is_sent_as_it_comes(app):
    sent = []

    def members():
        for _ in range(4):
            time.sleep(2 * batches.AGE)  # as long as it takes to make the next member
            with app.connection_for_read() as connection:
                queue = app.amqp.queues[app.conf.task_default_queue](connection.default_channel)
                sent.append(queue.queue_declare().message_count)
            yield app.signature("any")

    chord(members(), app.signature("any"), app=app)()

    assert sent[-1] >= 1  # Celery looks two members ahead
    assert len(waiting(app)) == 4
