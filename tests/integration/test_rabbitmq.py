"""RabbitMQ before any worker ran, with nodes that are down, and with queues that somebody made differently."""

from __future__ import annotations

import subprocess
import sys

import pytest
from kombu import Connection

from celery_runtime.settings import ConfigError
from tests.integration.conftest import PASSWORD, until
from tests.integration.dead import QUEUE, QUEUES, Post
from tests.integration.processes import ROOT, Service
from tests.ports import free_port

WAIT = 60  # seconds; the machine may be busy

pytestmark = pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)


@pytest.fixture
def vhost(rabbitmq, request):
    """An empty broker of the test's own; returns its URL."""
    name = f"test-{free_port()}"
    control(rabbitmq, "add_vhost", name)
    control(rabbitmq, "set_permissions", "--vhost", name, "celery", ".*", ".*", ".*")
    yield rabbitmq[1].rpartition("/")[0] + f"/{name}"
    control(rabbitmq, "delete_vhost", name)


def control(rabbitmq, *words):
    code, out = rabbitmq[0].exec_run(["rabbitmqctl", "--quiet", *words])
    assert code == 0, out
    return out.decode()


@pytest.fixture
def shop(vhost, environment, tmp_path):
    (tmp_path / "queues.toml").write_text(QUEUES)
    own = {
        "CELERY_APP": "tests.integration.shop:app",
        "QUEUES_FILE": str(tmp_path / "queues.toml"),
        "RABBITMQ_URL": vhost,
    }
    shop = Service(environment | own, tmp_path)
    yield shop
    shop.stop_all()


@pytest.fixture
def post(shop):
    post = Post(shop.environment)
    yield post
    post.close()


def start(shop, name="shop", **variables):
    shop.start_worker(QUEUE, name, **variables)
    shop.wait(lambda: shop.health(name, "ready"), "the worker to be ready", WAIT)


def test_a_delayed_message_that_is_published_before_any_worker_ran_arrives(post):
    post.task("shop.add", [1, 2], countdown=2)

    until(lambda: post.waiting() == 1, WAIT)
    assert post.take().headers["task"] == "shop.add"


def test_a_message_that_is_published_before_any_worker_ran_can_already_become_a_dead_letter(post):
    post.task("shop.add", [1, 2])
    with post.connection.channel() as channel:
        until(lambda: (message := channel.basic_get(QUEUE)) and (channel.basic_reject(message.delivery_tag, False), 1))

    until(lambda: post.depth() == 1, WAIT)
    assert [letter.note.reason for letter in post.letters()] == ["rejected"]


def test_a_task_is_retried_in_the_queue_that_it_came_from(shop, post):
    start(shop)

    assert post.task("shop.retry").get(timeout=WAIT) == QUEUE


def test_a_task_that_expired_is_revoked_and_no_dead_letter(shop, post):
    result = post.task("shop.add", [1, 2], expires=0.1)
    start(shop)

    until(lambda: result.state == "REVOKED", WAIT)
    assert (post.depth(), post.waiting()) == (0, 0)


def test_a_node_that_is_down_is_passed_over(shop, vhost):
    down = vhost.replace(vhost.rpartition(":")[2].partition("/")[0], str(free_port()))
    shop.environment["RABBITMQ_URL"] = f"{down};{vhost}"
    post = Post(shop.environment)
    result = post.task("shop.add", [1, 2])
    delayed = post.task("shop.add", [3, 4], countdown=1)
    start(shop)

    assert (result.get(timeout=WAIT), delayed.get(timeout=WAIT)) == (3, 7)
    inspect = [sys.executable, "-m", "celery", "-A", "celery_runtime.wrap", "inspect", "conf"]
    shown = subprocess.run(inspect, cwd=ROOT, env=shop.environment, capture_output=True, text=True, check=True).stdout
    assert "task_acks_late" in shown and f":{PASSWORD}@" not in shown
    assert f":{PASSWORD}@" not in shop.log("shop")
    post.close()


def test_a_queue_that_was_made_with_other_arguments_ends_the_worker_with_a_clear_message(shop, post, vhost):
    with post.connection.channel() as channel:
        channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    command = [sys.executable, "-m", "celery_runtime", "worker", QUEUE]
    environment = shop.environment | {"HEALTH_PORT": "0"}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WAIT, check=False
    )

    assert result.returncode == 2
    for text in ("queue 'orders' has x-", "= none, and this process wants", f"delete_queue --if-empty {QUEUE}"):
        assert text in result.stderr
    assert "Traceback" not in result.stderr
    with pytest.raises(ConfigError, match="queue 'orders' has x-"):
        post.task("shop.add", [1, 2])


@pytest.mark.slow
def test_a_second_worker_of_the_same_name_says_so_and_takes_over(shop):
    start(shop)
    shop.start_worker(QUEUE, "second")
    shop.wait(lambda: "Give each worker of one host a NODE_NAME" in shop.log("second"), "the second to say so", WAIT)
    assert shop.health("second", "live") and not shop.health("second", "ready")

    shop.stop("shop")

    shop.wait(lambda: shop.health("second", "ready"), "the second to take over", WAIT)
    assert "Traceback" not in shop.log("second")


@pytest.mark.slow
def test_two_workers_with_names_of_their_own_share_a_queue(shop, post):
    start(shop)
    start(shop, "second", NODE_NAME="second")

    assert [post.task("shop.add", [1, n]).get(timeout=WAIT) for n in range(4)] == [1, 2, 3, 4]


def test_the_broker_enforces_what_the_queue_says(post, rabbitmq, vhost):
    post.task("shop.add", [1, 2])
    name = vhost.rpartition("/")[2]
    listed = control(rabbitmq, "list_queues", "--vhost", name, "name", "type", "arguments")

    rows = {row.split("\t")[0]: row for row in listed.splitlines()}
    assert (
        "quorum" in rows[QUEUE]
        and '"x-delivery-limit",5' in rows[QUEUE]
        and '"x-consumer-timeout",90000000' in rows[QUEUE]
    )
    assert '"x-delivery-limit",-1' in rows[f"dead.{QUEUE}"]


@pytest.mark.slow
def test_the_user_needs_no_right_on_what_is_not_its_own(shop, post, rabbitmq, vhost):
    name = vhost.rpartition("/")[2]
    rights = configured_rights()
    assert control(rabbitmq, "list_permissions", "--vhost", "celery").splitlines()[-1].split()[1:] == rights
    control(rabbitmq, "set_permissions", "--vhost", name, "celery", *rights)
    with (
        Connection(post.connection.as_uri(include_password=True)) as connection,
        pytest.raises(Exception, match="ACCESS_REFUSED"),
    ):
        connection.default_channel.exchange_declare("amq.fanout", "fanout", durable=True, auto_delete=False)
    start(shop)

    assert post.task("shop.add", [1, 2], countdown=1).get(timeout=WAIT) == 3
    post.task("shop.gone")
    until(lambda: post.depth() == 1, WAIT)
    assert post.command("replay")[0] == 0


def configured_rights():
    lines = (ROOT / "deploy/compose/config/rabbitmq.conf").read_text().splitlines()
    given = dict(line.split(" = ", 1) for line in lines if line.startswith("default_permissions."))
    return [given[f"default_permissions.{what}"] for what in ("configure", "write", "read")]
