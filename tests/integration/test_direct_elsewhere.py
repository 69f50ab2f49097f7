"""The direct pool with other ways to its Redis, other stores for results, priorities and several queues."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import pytest
from celery import chord, group
from celery.canvas import Signature
from redis import Redis

from tests.integration.redis_servers import LocalServer
from tests.integration.runtime_worker import RuntimeWorker

PASSWORD = "integration"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    with LocalServer(folder, f"unixsocket {folder}/redis.sock") as server:
        yield server


@pytest.fixture
def redis(server):
    with server.client() as client:
        client.flushall()
        yield client


@contextmanager
def worker(folder, url, **conf):
    """A worker of plain Celery whose app installs the runtime, then has settings of its own; and a producer like it."""
    (folder / "password").write_text(PASSWORD)
    environment = {"BROKER": "redis", "REDIS_URL": url, "REDIS_PASSWORD_FILE": str(folder / "password")}
    queues = "[queues.anyapp]\n[queues.other]\n"
    variables = {"CELERY_APP": "directapp:app", "LEDGER": folder / "ledger", "PLAIN": "1", "CONF": json.dumps(conf)}
    plain = RuntimeWorker(
        folder,
        environment,
        queues,
        ("-A", "directapp", "worker", "-c", "2", "-Q", "anyapp,other"),
        (sys.executable, "-m", "celery"),
        **variables,
    )
    with plain, pytest.MonkeyPatch.context() as patch:
        producer = plain.producer(patch)
        producer.conf.update(conf)
        yield plain, producer
        producer.close()


def task(producer, name, *args, **options):
    return Signature(f"directapp.{name}", args=args, app=producer, options={"queue": "anyapp"} | options)


def expect_service(producer):
    numbers = group(task(producer, "add", 1, number) for number in range(20)).apply_async()
    assert numbers.get(timeout=60) == list(range(1, 21))
    with pytest.raises(ValueError, match="as asked"):
        task(producer, "fail").apply_async().get(timeout=30)


def is_empty(client):
    return not [key for key in client.scan_iter() if "unacked" in key and client.type(key) == "hash"]


def test_over_tls(images, containers, certificates, tmp_path):
    options = ["--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", "--requirepass", PASSWORD]
    options += ["--tls-cert-file", "/tls/server.crt", "--tls-key-file", "/tls/server.key"]
    options += ["--tls-ca-cert-file", "/tls/ca.crt"]
    _, port = containers(images["redis"], 6379, "redis-server", *options, files=[(certificates, "/tls")], user="redis")
    ssl = f"ssl_cert_reqs=required&ssl_ca_certs={certificates}/ca.crt"
    with worker(tmp_path, f"rediss://default@127.0.0.1:{port}/0?{ssl}") as (_, producer):
        expect_service(producer)


def test_through_a_unix_socket(server, redis, tmp_path):
    with worker(tmp_path, f"redis+socket://{server.folder}/redis.sock?virtual_host=0") as (plain, producer):
        expect_service(producer)
        plain.wait(lambda: is_empty(redis), "the acknowledgements")


def test_with_a_prefix_of_all_keys(server, redis, tmp_path):
    prefixed = {"broker_transport_options": {"global_keyprefix": "shop:", "visibility_timeout": 60}}
    with worker(tmp_path, f"redis://127.0.0.1:{server.port}/0", **prefixed) as (plain, producer):
        expect_service(producer)
        plain.wait(lambda: is_empty(redis), "the acknowledgements")
        assert not [key for key in redis.scan_iter() if not key.startswith(("shop:", "celery-task-meta-", "redbeat"))]


@pytest.mark.parametrize("store", ["another server", "a database", "rpc"])
def test_with_results_elsewhere(server, redis, tmp_path, store):
    with LocalServer(tmp_path / "results") as other:
        backend = {
            "another server": f"redis://127.0.0.1:{other.port}/0",
            "a database": f"db+sqlite:///{tmp_path}/results.sqlite",
            "rpc": "rpc://",
        }[store]
        with worker(tmp_path, f"redis://127.0.0.1:{server.port}/0", result_backend=backend) as (plain, producer):
            if store == "another server":
                expect_service(producer)
                numbers = [task(producer, "add", 1, 1) for _ in range(3)]
                assert chord(numbers, task(producer, "total")).apply_async().get(timeout=60) == 6
            else:
                assert task(producer, "add", 1, 1).apply_async().get(timeout=60) == 2
            plain.wait(lambda: is_empty(redis), "the acknowledgements")
        with Redis(port=server.port) as broker:
            assert not list(broker.scan_iter("celery-task-meta-*"))


def test_priorities_and_queues_in_turn(server, redis, tmp_path):
    with worker(tmp_path, f"redis://127.0.0.1:{server.port}/0") as (plain, producer):
        occupied = [task(producer, "sleep", 6).apply_async() for _ in range(2)]
        started = lambda: [line.split()[1] for line in (tmp_path / "ledger").read_text().splitlines()]  # noqa: E731
        plain.wait(lambda: (tmp_path / "ledger").exists() and len(started()) == 2, "both children to be busy")
        late = [task(producer, "sleep", 0.01, priority=9).apply_async() for _ in range(4)]
        early = [task(producer, "sleep", 0.01, priority=0).apply_async() for _ in range(4)]
        beside = [task(producer, "sleep", 0.01, queue="other").apply_async() for _ in range(4)]
        assert all(result.get(timeout=60) for result in (*occupied, *late, *early, *beside))
        order = list(dict.fromkeys(started()))[2:]
        place = {name: [order.index(result.id) for result in results] for name, results in (
            ("late", late), ("early", early), ("beside", beside)
        )}  # fmt: skip
        assert max(place["early"]) < min(place["late"]) + 2  # the two children need not write in the order of claims
        assert min(place["beside"]) < 4
