"""The direct pool on RabbitMQ: what is killed or cut off there, counted in a ledger."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import psutil
import pytest

from tests.chaos.clusters import RabbitMQTrio
from tests.chaos.lab import Lab
from tests.integration.conftest import ROOT, until
from tests.integration.direct_worker import (
    kill_child_with_the_victim,
    kill_children_under_load,
    lines,
    parked,
    producing,
    runs,
    started,
    task,
)

LIMIT = 5  # deliveries, by default
STOP = 15  # seconds on a busy machine; tests/chaos measures how quick it is


@pytest.fixture(scope="module", params=["one node", pytest.param("three nodes", marks=pytest.mark.slow)])
def broker(request):
    """A container of RabbitMQ, and the variables of a worker that is connected to it."""
    if request.param == "one node":
        yield request.getfixturevalue("rabbitmq")[0], request.getfixturevalue("on_rabbitmq")
        return
    on_redis = request.getfixturevalue("on_redis")
    with closing(Lab()) as lab:
        nodes = RabbitMQTrio(lab)
        password = lab.secrets / "rabbitmq_password"
        url = f"amqp://celery@127.0.0.1:{nodes.port}/celery"
        yield (
            nodes.container,
            on_redis | {"BROKER": "rabbitmq", "RABBITMQ_URL": url, "RABBITMQ_PASSWORD_FILE": str(password)},
        )


@pytest.fixture
def environment(broker):
    yield broker[1]
    broker[0].exec_run(["rabbitmqctl", "-q", "-p", "celery", "purge_queue", "anyapp"])


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger"


@pytest.fixture
def worker(environment, ledger):
    with started(environment, ledger) as worker:
        yield worker


@pytest.fixture
def producer(worker):
    with producing(worker) as app:
        yield app


def depth(producer):
    """How many messages wait."""
    with producer.connection_for_read() as connection:
        return connection.default_channel.queue_declare("anyapp", passive=True).message_count


def until_settled(worker, producer):
    """Wait until nothing is held any more: only a stop gives back what was not acknowledged."""
    worker.wait(lambda: not depth(producer), "the queue to be empty")
    worker.process.terminate()
    assert worker.process.wait(STOP) == 0
    assert not depth(producer)


def test_connections_that_are_cut_cost_no_task_and_repeat_none(worker, producer, ledger, broker):
    long = [task(producer, "sleep", 4).apply_async()]
    short = [task(producer, "sleep", 0.05).apply_async() for _ in range(60)]
    for _ in range(3):
        wanted = len(lines(ledger)) + 8
        worker.wait(lambda wanted=wanted: len(lines(ledger)) > wanted, "tasks to run")
        cut = broker[0].exec_run(["rabbitmqctl", "-q", "close_all_connections", "cut"])
        assert cut.exit_code == 0, cut.output

    assert len([each.get(timeout=60) for each in long + short]) == 61
    until_settled(worker, producer)
    assert {each.id: runs(ledger, each.id) for each in long + short} == {
        each.id: {"start": 1, "end": 1} for each in long + short
    }


def test_children_that_are_killed_under_load_cost_no_task(worker, producer, ledger):
    tasks, kills = kill_children_under_load(worker, producer, ledger)

    until_settled(worker, producer)
    assert sum(runs(ledger, each.id)["end"] - 1 for each in tasks) <= kills  # what ended, and was not settled yet


@pytest.mark.parametrize("step", ["claimed", "held", "ended"])
def test_a_child_may_be_killed_at_each_step_of_its_loop_and_its_task_starts_once(environment, ledger, step):
    with started(environment, ledger, STOP_AT=step) as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        hit = kill_child_with_the_victim(worker, producer, ledger)

        until_settled(worker, producer)
        assert runs(ledger, hit.id) == {"start": 1}
        producer.close()


def test_the_neighbours_of_a_crash_are_delivered_once(worker, producer):
    crashes = [task(producer, "die").apply_async() for _ in range(4)]
    # Too few to be taken ahead: on a busy machine those are given back, which RabbitMQ counts.
    neighbours = [task(producer, "deliveries").apply_async() for _ in range(12)]

    assert {tuple(each.get(timeout=60)) for each in neighbours} == {(0, False)}
    for each in crashes:
        with pytest.raises(Exception, match="exited prematurely"):
            each.get(timeout=60)


def test_what_runs_when_the_parent_is_killed_ends_and_is_not_repeated(environment, worker, producer, ledger, tmp_path):
    tasks = [task(producer, "sleep", 2).apply_async() for _ in range(4)]
    worker.wait(lambda: len(lines(ledger)) == 2, "two of them to run")
    children = psutil.Process(worker.process.pid).children()
    worker.process.kill()
    worker.process.wait()
    other = tmp_path / "other"
    other.mkdir()
    with started(environment, ledger, folder=other, NODE_NAME="second") as next_worker:
        assert len([each.get(timeout=60) for each in tasks]) == 4
        next_worker.wait(lambda: not any(child.is_running() for child in children), "its children to end")
        until_settled(next_worker, producer)

    assert {each.id: runs(ledger, each.id) for each in tasks} == {each.id: {"start": 1, "end": 1} for each in tasks}


@pytest.mark.parametrize(("seconds", "many"), [(0.1, 100), (0.002, 1500)])
def test_a_stop_under_load_ends_what_runs_and_begins_nothing(worker, producer, ledger, seconds, many):
    """Also while short tasks are taken ahead and acknowledged together."""
    for _ in range(many):
        task(producer, "sleep", seconds).apply_async()
    worker.wait(lambda: len(lines(ledger)) > 10, "tasks to run")

    worker.process.terminate()
    assert worker.process.wait(STOP) == 0

    count = Counter(what for what, _, _ in lines(ledger))
    assert count["start"] == count["end"] < many
    until(lambda: depth(producer) == many - count["end"])


def test_a_message_of_any_size(environment, ledger):
    with started(environment, ledger, MAX_ARGUMENTS_KIB=65_536) as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        sizes = [0, 1, 30_000, 32_768, 131_072, 300_000, 10_000_000]
        sent = [task(producer, "length", "x" * size).apply_async() for size in sizes]
        assert [each.get(timeout=60) for each in sent] == sizes
        producer.close()


def test_short_tasks_are_taken_ahead_and_given_back_when_one_takes_long(
    worker, producer, ledger, environment, tmp_path
):
    short = [task(producer, "sleep", 0).apply_async() for _ in range(1500)]
    worker.wait(lambda: len(lines(ledger)) > 1500, "short tasks to be taken ahead")
    long = [task(producer, "sleep", 30).apply_async() for _ in range(2)]
    more = [task(producer, "sleep", 0.01).apply_async() for _ in range(30)]
    assert len([each.get(timeout=60) for each in short]) == 1500
    worker.wait(lambda: all(runs(ledger, each.id) == {"start": 1} for each in long), "the long ones to run")
    worker.wait(lambda: depth(producer) == 30, "what was taken ahead to be given back")
    other = tmp_path / "other"
    other.mkdir()
    with started(environment, ledger, folder=other, NODE_NAME="second"):
        assert len([each.get(timeout=60) for each in more]) == 30
    assert all(runs(ledger, each.id) == {"start": 1} for each in long)  # until now


def test_a_rabbitmq_without_memory_gives_out_what_it_has_and_loses_nothing(worker, producer, ledger, broker):
    """It refuses what is published: a task that sends one waits with it, and its connection is another."""

    def control(*command):
        result = broker[0].exec_run(["rabbitmqctl", "-q", *command])
        assert result.exit_code == 0, result.output

    tasks = [task(producer, "sleep", 0.05).apply_async() for _ in range(100)]
    again = task(producer, "retry").apply_async()
    control("set_vm_memory_high_watermark", "absolute", "1MiB")
    try:
        assert len([each.get(timeout=60) for each in tasks]) == 100
        assert not again.ready()
        assert worker.get("/readyz")[0] == 200
    finally:
        control("set_vm_memory_high_watermark", "absolute", "460MiB")  # as in rabbitmq.conf
    assert again.get(timeout=60) == 2
    until_settled(worker, producer)
    assert {each.id: runs(ledger, each.id) for each in tasks} == {each.id: {"start": 1, "end": 1} for each in tasks}


def test_urgent_messages_come_two_for_each_other_as_quorum_queues_have_it(worker, producer, ledger):
    occupied = [task(producer, "sleep", 5).apply_async() for _ in range(2)]
    worker.wait(lambda: len(lines(ledger)) == 2, "both children to be busy")
    usual = [task(producer, "sleep", 0.03, priority=1).apply_async() for _ in range(20)]
    urgent = [task(producer, "sleep", 0.03, priority=9).apply_async() for _ in range(20)]
    assert all(each.get(timeout=60) for each in (*occupied, *usual, *urgent))

    order = list(dict.fromkeys(which for _, which, _ in lines(ledger)))[2:]
    first = {each.id for each in urgent} & set(order[:20])
    assert len(first) >= 12


def test_what_is_put_back_at_each_delivery_is_parked_after_the_limit_and_its_neighbours_are_not(
    worker, producer, ledger
):
    poison = task(producer, "outlast_unacknowledged").apply_async()
    neighbours = [task(producer, "deliveries").apply_async() for _ in range(12)]
    assert {tuple(each.get(timeout=60)) for each in neighbours} == {(0, False)}

    worker.wait(lambda: poison.id in parked(producer), "it to be parked")
    assert runs(ledger, poison.id) == {"start": LIMIT}


@pytest.mark.slow
def test_a_task_that_holds_the_interpreter_for_six_heartbeats_keeps_its_connection(worker, producer, ledger):
    greedy = task(producer, "hold_the_interpreter", 60).apply_async(time_limit=90, soft_time_limit=80)
    assert greedy.get(timeout=90) == 60
    assert runs(ledger, greedy.id) == {"start": 1, "end": 1}
    assert "onnection to broker lost" not in worker.log()


@pytest.mark.slow
def test_over_tls(images, containers, secrets, certificates, on_rabbitmq, ledger, tmp_path):
    """The parent reads and writes as ever; what runs when it is killed ends, and its result says so."""
    config = ROOT / "deploy/compose/config"
    tls = tmp_path / "tls.conf"
    names = {"cacertfile": "ca.crt", "certfile": "server.crt", "keyfile": "server.key"}
    options = [f"ssl_options.{option} = /tls/{name}" for option, name in names.items()]
    tls.write_text("\n".join(["listeners.ssl.default = 5671", *options, ""]))
    files = [
        (config / "rabbitmq.conf", "/etc/rabbitmq/rabbitmq.conf"),
        (config / "rabbitmq-plugins", "/etc/rabbitmq/enabled_plugins"),
        (secrets / "rabbitmq_conf", "/etc/rabbitmq/conf.d/20-password.conf"),
        (tls, "/etc/rabbitmq/conf.d/30-tls.conf"),
        (certificates, "/tls"),
    ]
    container, port = containers(images["rabbitmq"], 5671, files=files, user="rabbitmq")
    until(lambda: container.exec_run(["rabbitmq-diagnostics", "-q", "check_port_listener", "5671"]).exit_code == 0, 60)
    environment = on_rabbitmq | {
        "RABBITMQ_URL": f"amqps://celery@127.0.0.1:{port}/celery",
        "SSL_CERT_FILE": str(certificates / "ca.crt"),
    }
    other = tmp_path / "other"
    other.mkdir()
    with started(environment, ledger) as worker, pytest.MonkeyPatch.context() as patch:
        producer = worker.producer(patch)
        many = [task(producer, "length", "x" * size).apply_async() for size in range(0, 60_000, 200)]
        assert [each.get(timeout=60) for each in many] == list(range(0, 60_000, 200))
        tasks = [task(producer, "sleep", 2).apply_async() for _ in range(4)]
        worker.wait(lambda: len(lines(ledger)) == 2, "two of them to run")
        worker.process.kill()
        worker.process.wait()
        with started(environment, ledger, folder=other, NODE_NAME="second") as next_worker:
            assert len([each.get(timeout=60) for each in tasks]) == 4
            until_settled(next_worker, producer)
        producer.close()
    assert {each.id: runs(ledger, each.id) for each in tasks} == {each.id: {"start": 1, "end": 1} for each in tasks}
