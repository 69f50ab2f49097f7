"""Results of the runtime's backend: as Celery stores them, in one trip, and never from the worker's loop."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import Counter
from functools import partial

import psutil
import pytest
from celery import Celery, states
from celery.exceptions import TimeLimitExceeded
from celery.exceptions import TimeoutError as CeleryTimeoutError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.dev.private_redis import find_server
from celery_runtime import results
from tests.integration.conftest import PASSWORD, until
from tests.integration.redis_servers import answers
from tests.integration.runtime_worker import RuntimeWorker
from tests.integration.test_outages import pausing
from tests.ports import free_port

# Celery's own backend, which is compared here, calls what redis-py deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
AWAY = 30  # seconds, in which a task runs out of its 15; Celery's loop would stand still until Redis is back


@pytest.fixture
def url(own_redis):
    """Of a server whose commands can be counted: other tests' workers look at theirs all the time."""
    return f"redis://celery:{PASSWORD}@127.0.0.1:{own_redis[0]}/0"


@pytest.fixture
def server(url):
    with Redis.from_url(url) as client:
        yield client


@pytest.fixture
def make(url):
    """An app with results in Redis: with our backend, or with Celery's own."""
    apps = []

    def make(*, ours, url=url, **conf):
        app = Celery(set_as_current=False)
        app.conf.update(result_backend=url, redis_socket_timeout=10, redis_socket_keepalive=True, **conf)
        if ours:
            results.install(app)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.backend.client.close()


OUTCOMES = [
    (states.STARTED, {"pid": 1}),
    (states.SUCCESS, {"answer": 42}),
    (states.FAILURE, ValueError("no", 3)),
    (states.RETRY, ValueError("later")),
    ("PROGRESS", {"done": 3}),
]


@pytest.mark.parametrize(("state", "result"), OUTCOMES)
@pytest.mark.parametrize("conf", [{}, {"result_extended": True}, {"result_compression": "gzip"},
                                  {"result_serializer": "yaml", "accept_content": ["yaml"]},
                                  {"result_expires": None}, {"result_failure_expires": 7}],
                         ids=lambda conf: next(iter(conf), "defaults"))  # fmt: skip
def test_what_is_stored_is_what_celery_stores(make, server, state, result, conf):
    def stored(*, ours):
        app = make(ours=ours, **conf)
        task_id = f"same-{state}-{ours}"
        app.backend.store_result(task_id, result, state)
        key = app.backend.get_key_for_task(task_id)
        meta = make(ours=False, **conf).backend.get_task_meta(task_id)
        pair = (
            meta | {"date_done": bool(meta["date_done"]), "task_id": "", "result": repr(meta["result"])},
            server.ttl(key),
        )
        server.delete(key)
        return pair

    (ours, our_lifetime), (celerys, its_lifetime) = stored(ours=True), stored(ours=False)
    assert ours == celerys
    assert abs(our_lifetime - its_lifetime) < 5


def test_a_result_takes_one_trip(make, server):
    app = make(ours=True)
    app.backend.store_result("warm", 1, states.SUCCESS)  # the server knows the script from here on
    before = calls(server)

    app.backend.store_result("one", 1, states.STARTED)
    app.backend.store_result("one", 1, states.SUCCESS)

    called = calls(server) - before
    assert called["evalsha"] == 2
    assert not called.keys() & {"get", "multi", "eval"}
    server.delete("celery-task-meta-one", "celery-task-meta-warm")


def calls(server):
    stats = server.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()})


def test_a_success_is_never_overwritten_whoever_stored_it(make, server):
    for conf in ({}, {"result_compression": "gzip"}, {"result_serializer": "yaml", "accept_content": ["yaml"]}):
        for ours in (True, False):
            make(ours=ours, **conf).backend.store_result("kept", 1, states.SUCCESS)
            app = make(ours=True, **conf)
            app.backend.store_result("kept", ValueError("late"), states.FAILURE)

            assert app.backend.get_task_meta("kept")["result"] == 1
            server.delete("celery-task-meta-kept")


def test_a_failure_is_overwritten_by_the_success_of_a_second_run(make, server):
    for conf in ({}, {"result_compression": "gzip"}):
        make(ours=False, **conf).backend.store_result("second", ValueError("first"), states.FAILURE)
        make(ours=True, **conf).backend.store_result("second", 2, states.SUCCESS)

        assert make(ours=False, **conf).backend.get_task_meta("second")["result"] == 2
        server.delete("celery-task-meta-second")


def test_a_server_that_does_not_know_the_script_is_told_it_once(make, server, monkeypatch):
    monkeypatch.setattr(results, "STORE", f"{results.STORE}-- {time.time()}")
    monkeypatch.setattr(results, "STORE_SHA", results.sha1(results.STORE))
    before = calls(server)
    app = make(ours=True)
    app.backend.store_result("first", 1, states.SUCCESS)
    app.backend.store_result("second", 2, states.SUCCESS)

    assert app.backend.get_task_meta("first")["result"] == 1
    assert (calls(server) - before)["eval"] == 1
    server.delete("celery-task-meta-first", "celery-task-meta-second")


@pytest.mark.parametrize(
    "refusal",
    [("CONFIG SET", "min-replicas-to-write", 1), ("CONFIG SET", "maxmemory", 1), ("REPLICAOF", "127.0.0.1", 1)],
)
def test_a_server_that_refuses_writes_delays_a_result_and_fails_no_task(own_redis, admin, make, refusal):
    port, _ = own_redis
    command, name, _ = refusal
    normal = ("REPLICAOF", "NO", "ONE") if command == "REPLICAOF" else (command, name, 0)
    app = make(ours=True, url=f"redis://admin:{PASSWORD}@127.0.0.1:{port}/0", result_backend_always_retry=True)
    app.backend.store_result("warm", 1, states.SUCCESS)

    admin.execute_command(*refusal)
    storing = threading.Thread(target=app.backend.store_result, args=("late", 2, states.SUCCESS))
    storing.start()
    storing.join(1)
    still = storing.is_alive()
    admin.execute_command(*normal)
    storing.join(30)

    assert still and app.backend.get_task_meta("late")["result"] == 2


@pytest.fixture
def local_servers(tmp_path):
    """A Redis on a Unix socket and a port, and a Sentinel that watches it."""
    port, watcher, socket = free_port(), free_port(), tmp_path / "redis.sock"
    (tmp_path / "sentinel.conf").write_text(
        f"bind 127.0.0.1\nport {watcher}\ndir {tmp_path}\nsentinel monitor blueprint 127.0.0.1 {port} 1\n"
    )
    (tmp_path / "redis.conf").write_text(f"bind 127.0.0.1\nport {port}\nunixsocket {socket}\nsave ''\ndir {tmp_path}\n")
    commands = [
        [find_server(), tmp_path / "redis.conf"],
        [find_server(), tmp_path / "sentinel.conf", "--sentinel"],
    ]
    servers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    try:
        until(socket.exists)
        with Redis(port=watcher) as client:
            until(lambda: _knows_master(client))
        yield f"redis+socket://{socket}", f"sentinel://127.0.0.1:{watcher}/0"
    finally:
        for process in servers:
            process.terminate()
            process.wait(10)


def _knows_master(client):
    try:
        return client.sentinel_get_master_addr_by_name("blueprint") is not None
    except RedisConnectionError:
        return False


def test_results_reach_redis_over_a_unix_socket_and_through_sentinel(make, local_servers):
    for url in local_servers:
        app = make(ours=True, url=url, result_backend_transport_options={"master_name": "blueprint"})
        app.backend.store_result("there", 5, states.SUCCESS)
        assert app.backend.get_task_meta("there", cache=False)["result"] == 5
        assert isinstance(app.backend, results.OneTrip)


def test_publishing_does_not_wait_for_the_result_store_and_results_are_found_when_it_is_back(make, tmp_path):
    port = free_port()
    server = [find_server(), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    app = make(ours=True, url=f"redis://127.0.0.1:{port}/0")

    def start():
        process = subprocess.Popen(server, stdout=subprocess.DEVNULL)
        with Redis(port=port) as client:
            until(lambda: answers(client))
        return process

    process = start()
    try:
        early = app.AsyncResult("before")
        with pytest.raises(CeleryTimeoutError):
            early.get(timeout=0.1)
        process.terminate()
        process.wait(10)
        began = time.monotonic()
        for task_id in ("meanwhile", "meanwhile too"):
            app.backend.on_task_call(None, task_id)
        assert time.monotonic() - began < 1

        process = start()
        waiting = {task_id: [] for task_id in ("before", "meanwhile", "after")}
        for task_id, found in waiting.items():
            get = partial(app.AsyncResult(task_id).get, timeout=20)
            threading.Thread(target=lambda found=found, get=get: found.append(get())).start()
        until(lambda: len(app.backend.result_consumer.subscribed_to) >= len(waiting))
        other = make(ours=True, url=f"redis://127.0.0.1:{port}/0")
        for task_id in waiting:
            other.backend.store_result(task_id, task_id, states.SUCCESS)

        until(lambda: waiting == {task_id: [task_id] for task_id in waiting})
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def worker(tmp_path, on_rabbitmq):
    """A worker with RabbitMQ as its broker, so that Redis can be away alone."""
    queues = "[queues.anyapp]\nconcurrency = 2\nsoft_time_limit = 14\ntime_limit = 15\n"
    with RuntimeWorker(tmp_path, on_rabbitmq, queues) as worker:
        yield worker


def test_the_loop_goes_on_without_redis_and_the_failure_is_stored_when_it_is_back(worker, redis, tmp_path, monkeypatch):
    producer, notes = worker.producer(monkeypatch), tmp_path / "notes"
    killed = producer.send_task("anyapp.note", [str(notes), 3600], time_limit=3600, soft_time_limit=3600)
    worker.wait(lambda: notes.exists() and notes.read_text(), "the first task to start")
    timed_out = producer.send_task("anyapp.stubborn")
    worker.wait(lambda: "celery_slots_busy 2.0" in worker.get("/metrics")[1], "the second task to start")

    with pausing(redis[0]):
        psutil.Process(int(notes.read_text())).send_signal(signal.SIGKILL)
        began, oldest = time.monotonic(), 0
        while time.monotonic() - began < AWAY:
            oldest = max(oldest, worker.tick_age())
            time.sleep(0.2)
        assert worker.get("/livez")[0] == worker.get("/readyz")[0] == 200

    assert oldest < AWAY / 2
    worker.wait(lambda: timed_out.state == states.FAILURE, "the failure to be stored")
    assert isinstance(timed_out.result, TimeLimitExceeded)
    assert worker.log().count(f"task failed: task_id={timed_out.id} name=anyapp.stubborn queue=anyapp ") == 1
    assert worker.log().count(f"task failed: task_id={timed_out.id}") == 1
    worker.wait(lambda: len(notes.read_text().splitlines()) == 2, "the killed task to be tried again")
    killed.revoke(terminate=True)
    worker.wait(lambda: killed.state == states.REVOKED, "the task to be ended")
    producer.close()
