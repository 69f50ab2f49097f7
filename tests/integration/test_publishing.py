"""Publishing while the broker is away: bounded where somebody waits, patient where nobody does, or by the outbox."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest
from celery import Celery

from celery_runtime import batches, publishing
from tests.integration.conftest import until
from tests.integration.processes import ROOT
from tests.integration.proxy import Proxy

FIRST_TRY = 7  # seconds; a process without a connection used to give up publishing after 5


@pytest.fixture
def author(service):
    """The address of a new user, and what posts for them."""
    email = f"{uuid4().hex}@example.org"
    user = service.api.post("/users", json={"email": email, "name": "Ada"}).json()["id"]
    return email, lambda: service.api.post("/posts", json={"user_id": user, "body": "Hello."})


def mails(service, recipient):
    announced = service.mail.get("/api/messages", params={"to": recipient}).json()
    return [mail for mail in announced if mail["subject"] == "Your post is published"]


@contextmanager
def pausing(container):
    container.pause()
    try:
        yield
    finally:
        container.unpause()


def test_the_author_of_a_post_is_told_at_once(service, author):
    email, post = author
    assert post().status_code == 201

    service.wait(lambda: mails(service, email), "the mail")
    assert len(mails(service, email)) == 1


def test_a_post_is_accepted_without_its_broker_and_announced_when_it_is_back(service, author, broker, request):
    email, post = author
    service.start_beat("beat-posts")
    service.wait(lambda: service.health("beat-posts", "ready"), "Beat to tick")
    with pausing(request.getfixturevalue(broker)[0]):
        began = time.monotonic()
        answer = post()
        took = time.monotonic() - began
    assert answer.status_code == 201 and took < 5

    service.wait(lambda: mails(service, email), "the mail after the outage", 90)
    assert service.stop("beat-posts") == 0


@pytest.mark.slow
def test_a_process_that_never_had_a_connection_waits_for_its_broker(bases, key, broker):
    url = f"{'REDIS' if broker == 'redis' else 'RABBITMQ'}_URL"
    address, _, path = bases.service.environment[url].rpartition("/")
    host, _, port = address.rpartition(":")
    proxy = Proxy(int(port))
    script = (
        "from tests.integration.bases_app import app, run; from celery_runtime.publishing import publish_patiently\n"
        f"publish_patiently(app); print('begins', flush=True); run.apply_async(({key!r},), ignore_result=True)"
    )
    environment = bases.service.environment | {url: f"{host}:{proxy.port}/{path}"}
    publisher = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    try:
        assert publisher.stdout.readline() == b"begins\n"
        with pytest.raises(subprocess.TimeoutExpired):
            publisher.wait(FIRST_TRY)
        proxy.open()
        assert publisher.wait(60) == 0
    finally:
        if publisher.poll() is None:
            publisher.kill()
            publisher.wait()
        publisher.stdout.close()
        proxy.close()
    until(lambda: bases.notes(key))


def test_redis_without_memory_is_an_error_that_says_so(images, containers, key, tmp_path):
    command = ["redis-server", "--maxmemory", "2mb", "--maxmemory-policy", "noeviction", "--protected-mode", "no"]
    container, port = containers(images["redis"], 6379, *command, user="redis")
    until(lambda: b"PONG" in container.exec_run(["redis-cli", "ping"]).output)
    app = Celery("full", broker=f"redis://127.0.0.1:{port}/0", set_as_current=False)
    app.conf.task_publish_retry_policy = publishing.BOUNDED
    try:
        with pytest.raises(publishing.BrokerAwayError, match="maxmemory: raise it") as full:
            publishing.publish(app, (app.signature("run", args=["x" * 10_000]) for _ in range(200)), 10)
        with app.connection_for_read() as connection:
            assert connection.default_channel.client.llen("celery") == full.value.accepted < 200
    finally:
        app.close()
        container.remove(force=True, v=True)


@pytest.mark.slow
def test_rabbitmq_without_memory_is_an_error_within_the_bound(bases, broker, request):
    if broker == "redis":
        pytest.skip("of RabbitMQ")
    container = request.getfixturevalue("rabbitmq")[0]

    def watermark(value):
        ended = container.exec_run(["rabbitmqctl", "-q", "set_vm_memory_high_watermark", value], user="rabbitmq")
        assert ended.exit_code == 0, ended.output

    key = uuid4().hex
    watermark("0.00001")
    try:
        began = time.monotonic()
        with pytest.raises(publishing.BrokerAwayError, match="its memory or disk is full") as full:
            publishing.publish(bases.app, (bases.run.s(key) for _ in range(1000)), 3)
        assert time.monotonic() - began < 15
    finally:
        watermark("0.6")
    until(lambda: len(bases.notes(key)) >= full.value.accepted)
    assert len(bases.notes(key)) <= full.value.accepted + batches.SIZE  # those that waited for their confirmations


@pytest.mark.slow
def test_a_task_that_publishes_while_its_broker_is_paused_ends_well(bases, key, broker, request):
    task = bases.publish_later.delay(key, 2)
    until(lambda: bases.notes(key))
    with pausing(request.getfixturevalue(broker)[0]):
        time.sleep(25)  # longer than Redis' socket time-out twice, and than RabbitMQ's heartbeats

    until(lambda: bases.notes(f"{key}-inner"), 120)
    until(lambda: bases.app.backend.get_task_meta(task.id)["status"] == "SUCCESS", 60)
    assert len({entry["id"] for entry in bases.notes(f"{key}-inner")}) >= 1
