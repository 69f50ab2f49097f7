"""Results are subscribed to when somebody waits, and found whenever they were stored."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from celery import Celery, group, states
from celery.backends.asynchronous import greenletDrainer
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import GroupResult
from redis import Redis

from celery_runtime import results
from tests.integration.conftest import until
from tests.integration.proxy import Proxy
from tests.integration.redis_servers import LocalServer

# Celery's own backend calls what redis-py deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")
SOON = 10  # seconds; a get() that takes longer missed its result


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = LocalServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.process.terminate()
    server.process.wait(10)


@pytest.fixture
def redis(server):
    with Redis(port=server.port, decode_responses=True) as client:
        client.flushall()
        client.config_resetstat()
        yield client


@pytest.fixture
def make(server):
    apps = []

    def make(port=server.port):
        app = Celery(broker=f"redis://127.0.0.1:{server.port}/1", set_as_current=False)
        app.conf.update(result_backend=f"redis://127.0.0.1:{port}/0", redis_socket_timeout=10)
        app.conf.result_backend_thread_safe = True  # the same consumer in the threads that wait
        results.install(app)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.backend.result_consumer.stop()
        app.backend.client.close()
        app.close()


@pytest.fixture
def app(make):
    return make()


@pytest.fixture
def store(make):
    """Stores as a worker does: in another process, as far as the publisher can tell."""
    worker = make().backend
    return lambda task_id, result=1, state=states.SUCCESS: worker.store_result(task_id, result, state)


def asking(get, *args, **kwargs):
    """Call `get` in a thread; returns where its answer will be."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(get(*args, **kwargs)), daemon=True)
    thread.start()
    return answers


def channels(redis):
    return redis.pubsub_channels("celery-task-meta-*")


def commands(redis):
    stats = redis.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()})


def test_publishing_subscribes_to_nothing(app, server, redis):
    published = [app.send_task("any") for _ in range(3)]
    members = group([app.signature("any") for _ in range(3)], app=app).apply_async()
    with Redis(port=server.port, db=1) as broker:
        assert len(published) + len(members) == broker.llen("celery")
    assert not commands(redis)["subscribe"] and not channels(redis)


def test_a_result_that_is_there_needs_no_subscription(app, redis, store):
    store("there", 7)
    assert app.AsyncResult("there").get(timeout=0) == 7
    assert not commands(redis)["subscribe"]


def test_a_result_arrives_while_it_is_waited_for_and_nothing_stays_subscribed(app, redis, store):
    answers = asking(app.AsyncResult("later").get, timeout=SOON)
    until(lambda: channels(redis) == ["celery-task-meta-later"])
    store("later", 7)
    until(lambda: answers == [7])
    until(lambda: not channels(redis))


def test_a_result_stored_between_the_look_and_the_subscription_is_found(make, server, redis, store):
    looked, held = threading.Event(), []

    def hold(data):
        if b"GET" in data and b"celery-task-meta-between" in data:
            looked.set()
        if b"SUBSCRIBE" in data and b"UNSUBSCRIBE" not in data and not held:
            held.append(looked.wait(SOON))
            store("between", 7)

    proxy = Proxy(server.port, hold)
    proxy.open()
    try:
        assert make(proxy.port).AsyncResult("between").get(timeout=SOON) == 7
        assert held == [True]
    finally:
        proxy.close()


def test_a_get_that_timed_out_leaves_nothing_behind_and_can_be_repeated(app, redis, store):
    result = app.AsyncResult("slow")
    for _ in range(2):
        with pytest.raises(CeleryTimeoutError):
            result.get(timeout=0.1)
        assert not channels(redis)
        assert not any(app.backend._pending_results)
    store("slow", 7)
    assert result.get(timeout=SOON) == 7


def test_many_threads_wait_at_once_and_one_that_gives_up_leaves_the_others_waiting(app, redis, store):
    shared = app.AsyncResult("id-0")
    answers = [asking(app.AsyncResult(f"id-{n % 5}").get, timeout=SOON) for n in range(10)]
    answers.append(asking(shared.get, timeout=SOON))
    until(lambda: len(channels(redis)) == 5)
    with pytest.raises(CeleryTimeoutError):
        shared.get(timeout=0.1)
    with pytest.raises(CeleryTimeoutError):
        app.AsyncResult("id-1").get(timeout=0.1)
    assert len(channels(redis)) == 5
    for n in range(5):
        store(f"id-{n}", n)
    until(lambda: [answer for found in answers for answer in found] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0])
    until(lambda: not channels(redis))


def test_then_is_told_whether_the_task_ended_before_or_after(app, store):
    told = []
    waiting = {name: app.AsyncResult(name) for name in ("ended", "ends", "ends later")}
    store("ended", "ended")
    for name in ("ended", "ends"):
        waiting[name].then(lambda result: told.append(result.result))
    answers = asking(app.AsyncResult("waited for").get, timeout=SOON)  # whoever waits reads for all
    until(lambda: told == ["ended"])
    until(lambda: app.backend.result_consumer._socket_waiter)
    waiting["ends later"].then(lambda result: told.append(result.result))
    assert b"celery-task-meta-ends later" in app.backend.result_consumer.subscribed_to  # not when its reader wakes up
    for name in ("ends", "ends later"):
        store(name, name)
    until(lambda: sorted(told) == ["ended", "ends", "ends later"])
    store("waited for")
    until(lambda: answers == [1])


class Drainer(greenletDrainer):
    """That of gevent and eventlet, with a thread as its greenlet."""

    def spawn(self, func):
        thread = threading.Thread(target=func, daemon=True)
        thread.start()
        return thread


def test_a_drainer_of_greenlets_tells_then_without_anybody_in_get(app, redis, store):
    app.backend.result_consumer.drainer = Drainer(app.backend.result_consumer)
    told = []
    store("ended", "ended")
    waiting = [app.AsyncResult("ended"), app.AsyncResult("ends")]
    for result in waiting:
        result.then(lambda result: told.append(result.result))
    assert b"celery-task-meta-ends" in app.backend.result_consumer.subscribed_to  # not when the drainer wakes up
    until(lambda: told == ["ended"])
    store("ends", "ends")
    until(lambda: told == ["ended", "ends"])
    answers = asking(app.AsyncResult("get").get, timeout=SOON)
    until(lambda: len(channels(redis)) == 1)
    store("get")
    until(lambda: answers == [1])
    app.backend.result_consumer.drainer.stop()
    assert not channels(redis)


@pytest.mark.parametrize("of", ["get", "join_native", "iter_native"])
def test_a_group_is_complete_whenever_its_parts_ended(app, redis, store, of):
    members = [app.AsyncResult(f"part-{n}") for n in range(30)]
    for n in range(10):
        store(f"part-{n}", n)
    whole = GroupResult("whole", members, app=app)
    wait = (lambda timeout: list(whole.iter_native(timeout=timeout))) if of == "iter_native" else getattr(whole, of)
    answers = asking(wait, timeout=SOON)
    until(lambda: len(channels(redis)) == 20)
    assert commands(redis)["subscribe"] == 1
    for n in range(10, 30):
        store(f"part-{n}", n)
    until(lambda: answers)
    found = answers[0]
    if of == "iter_native":
        found = [meta["result"] for _, meta in sorted(found, key=lambda pair: int(pair[0].partition("-")[2]))]
    assert found == list(range(30))
    until(lambda: not channels(redis))


def test_every_state_from_the_present_one_on_is_told_once(make, server, redis, store):
    told, looked = [], []

    def tell_twice(data):
        """Publish the present state again, to the subscription that is in effect, before it is looked for."""
        if b"MGET" in data and not looked:
            looked.append(redis.pubsub_numsub("celery-task-meta-told"))
            store("told", {"done": 1}, "PROGRESS")

    proxy = Proxy(server.port, tell_twice)
    proxy.open()
    try:
        store("told", {"done": 0}, "PROGRESS")
        get = make(proxy.port).AsyncResult("told").get
        answers = asking(get, timeout=SOON, on_message=lambda meta: told.append((meta["status"], meta["result"])))
        until(lambda: told)
        store("told", {"done": 2}, "PROGRESS")
        store("told", 7)
        until(lambda: answers == [7])
    finally:
        proxy.close()
    assert told == [("PROGRESS", {"done": 1}), ("PROGRESS", {"done": 2}), ("SUCCESS", 7)]
    assert looked == [[("celery-task-meta-told", 1)]]


def test_a_result_stored_while_the_connection_was_lost_is_found(app, redis, store):
    for number in range(3):  # redis-py connects again by itself, or Celery does
        name = f"lost-{number}"
        answers = asking(app.AsyncResult(name).get, timeout=SOON)
        until(lambda name=name: f"celery-task-meta-{name}" in channels(redis))
        with redis.pipeline() as both:
            both.client_kill_filter(_type="pubsub")
            both.set("x", 1)
            both.execute()
        store(name, 7)
        until(lambda answers=answers: answers == [7])
