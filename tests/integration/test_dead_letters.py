"""What no worker can run is parked, and comes back as it was: on both brokers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from celery.exceptions import NotRegistered
from kombu.utils.uuid import uuid

from celery_runtime.dead_letters import rabbitmq as rabbitmq_box
from tests.integration.conftest import until
from tests.integration.dead import QUEUE, QUEUES, Post
from tests.integration.processes import ROOT, Service

WAIT = 60  # seconds; the machine may be busy
LIMIT = 2


def task_headers(name="shop.add", **others):
    return {"lang": "py", "task": name, "id": uuid(), **others}


def body(args=(1, 2), kwargs=None, embed=None):
    return json.dumps([args, {} if kwargs is None else kwargs, embed or {}])


PICKLE = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
HUGE = "y" * 100_000
# reason, how it is sent
BAD = [
    ("unknown-task", {"body": body(), "headers": task_headers("shop.gone")}),
    ("undecodable", {"body": "[[1, 2], {}", "headers": task_headers()}),
    ("undecodable", {"body": b"\xff\xfe\x00", "headers": task_headers()}),
    ("undecodable", {"body": body(), "headers": task_headers(compression="application/x-gzip")}),
    ("content-type", {"body": b"\x80\x04K\x01.", "headers": task_headers(), **PICKLE}),
    ("content-type", {"body": "hello", "headers": task_headers("shop.gone"), "content_type": "text/plain"}),
    ("not-a-task", {"body": '{"hello": "world"}', "headers": {}}),
    ("not-a-task", {"body": "[1, 2]", "headers": {}}),
    ("not-a-task", {"body": body(), "headers": task_headers({"not": "a name"})}),
    ("arguments", {"body": '"no list"', "headers": task_headers()}),
    ("arguments", {"body": "17", "headers": task_headers()}),
    ("arguments", {"body": json.dumps(["ab", {}, {}]), "headers": task_headers()}),
    ("arguments", {"body": body(kwargs=[1]), "headers": task_headers()}),
    ("arguments", {"body": body(), "headers": {"task": "shop.add"}}),
    ("arguments", {"body": body(), "headers": task_headers(eta=HUGE)}),
    ("arguments", {"body": body(), "headers": task_headers(timelimit="soon")}),
    ("arguments", {"body": json.dumps({"task": "shop.add", "id": uuid(), "args": "ab"}), "headers": {}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(environment, tmp_path_factory):
    """Workers of another app, for queues of their own."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "queues.toml").write_text(QUEUES)
    own = {
        "CELERY_APP": "tests.integration.shop:app",
        "QUEUES_FILE": str(folder / "queues.toml"),
        "DELIVERY_LIMIT": str(LIMIT),
    }
    shop = Service(environment | own, folder)
    try:
        yield shop
    finally:
        shop.stop_all()


@pytest.fixture
def post(shop):
    """No message and no dead letter is there before and after a test."""
    post = Post(shop.environment)
    clear(post)
    yield post
    clear(post)
    post.close()


def clear(post):
    for queue in post.app.amqp.queues.values():
        with post.connection.channel() as channel:
            queue(channel).declare()
            queue(channel).purge()
    post.command("purge", "--yes")


@pytest.fixture
def worker(shop, post):
    """Starts the worker unless it runs."""

    def start(**variables):
        if "shop" not in shop.processes:
            shop.start_worker(QUEUE, "shop", **variables)
            shop.wait(lambda: shop.health("shop", "ready"), "the worker to be ready", WAIT)
        return shop.processes["shop"]

    return start


def stop(shop):
    """Let nobody take what the test puts into the queue."""
    if "shop" in shop.processes:
        shop.stop("shop")


def test_every_kind_of_bad_message_is_parked_with_its_reason_and_the_worker_goes_on(shop, post, worker):
    before = len(shop.log("shop")) if (shop.logs / "shop.log").exists() else 0
    for _, sent in BAD:
        post.send(**sent)
    good = post.task("shop.add", [3, 4])
    process = worker()

    assert good.get(timeout=WAIT) == 7
    until(lambda: post.depth() == len(BAD), WAIT)
    letters = post.listed("--queue", QUEUE)
    assert [letter["reason"] for letter in letters] == [reason for reason, _ in BAD]
    assert {letter["host"].split("@")[0] for letter in letters} == {QUEUE}
    assert all(letter["time"].endswith("+00:00") and letter["detail"] for letter in letters)
    for _, sent in BAD:
        if isinstance(sent["headers"].get("id"), str):
            assert_failed(post.app.AsyncResult(sent["headers"]["id"]))
    log = shop.log("shop")[before:]
    assert log.count("dead letter: ") == len(BAD) and "Traceback" not in log
    assert process.poll() is None and post.waiting() == 0


def assert_failed(result):
    """The result is stored after the parking."""
    until(lambda: result.state == "FAILURE", WAIT)


def test_a_replay_puts_back_exactly_what_was_sent(post, worker, shop):
    stop(shop)
    texts = {"headers": task_headers("shop.gone", deep={"list": [1, None, 2.5], "text": "ä"}), "correlation_id": "c-1"}
    post.send(body(("ä", 1.5)), priority=3, reply_to="r-1", **texts)
    post.send(b"\x80\x04K\x01.\xff", headers=task_headers(), **PICKLE)
    before = [post.take(), post.take()]
    for message in before:
        post.send(message.body, headers=message.headers, **kept(message))
    worker()
    until(lambda: post.depth() == 2, WAIT)
    shop.stop("shop")

    assert post.command("replay")[0] == 0

    after = [post.take(), post.take()]
    for old, new in zip(before, after, strict=True):
        replayed = new.headers.pop("x-replayed")
        assert replayed["count"] == 1 and replayed["time"].endswith("+00:00")
        assert (new.body, new.headers, kept(new)) == (old.body, old.headers, kept(old))
    assert post.depth() == 0


def kept(message):
    """What a publisher may set."""
    names = ("content_type", "content_encoding", "priority", "correlation_id", "reply_to", "delivery_mode")
    given = {"content_type": message.content_type, "content_encoding": message.content_encoding, **message.properties}
    return {name: given[name] for name in names if given.get(name) is not None}


def test_an_unknown_task_runs_after_the_deploy_that_brings_it(shop, post, worker):
    result = post.task("shop.new", [5])
    worker()
    until(lambda: post.depth() == 1, WAIT)
    assert_failed(result)
    assert isinstance(result.result, NotRegistered)
    stop(shop)
    worker(SHOP_VERSION="2")

    code, said = post.command("replay", "--reason", "unknown-task", "--task", "shop.new")

    assert (code, said) == (
        0,
        f"1 dead letter in parcels, {QUEUE} with reason unknown-task of task shop.new put back.\n",
    )
    until(lambda: post.app.AsyncResult(result.id).state == "SUCCESS", WAIT)
    assert post.depth() == 0
    stop(shop)


def test_a_task_that_kills_its_process_is_parked_after_its_retries_and_stops_no_other(shop, post, worker):
    worker()
    crash = post.task("shop.crash")

    until(lambda: post.depth() == 1, WAIT)

    assert post.task("shop.add", [1, 2]).get(timeout=WAIT) == 3
    (letter,) = post.letters()
    assert (letter.note.reason, letter.task_id) == ("poison", crash.id)
    assert letter.headers["retries"] == 1 and "SIGKILL" in letter.note.detail
    assert_failed(crash)
    assert post.waiting() == 0


def test_a_message_that_took_too_many_workers_is_parked_and_replayed_with_a_new_count(shop, post, worker, broker):
    stop(shop)
    if broker == "redis":
        post.send(body(), headers=task_headers("shop.add", **{"x-delivery-count": LIMIT}))
    else:
        post.send(body(), headers=task_headers("shop.add"))
        for _ in range(LIMIT):
            give_back(post)
    worker()

    until(lambda: post.depth() == 1, WAIT)
    (letter,) = post.listed()
    assert letter["reason"] == "poison" and f"DELIVERY_LIMIT = {LIMIT}" in letter["detail"]
    assert_failed(post.app.AsyncResult(letter["task_id"]))

    assert post.command("replay", "--id", letter["id"])[0] == 0
    until(lambda: post.app.AsyncResult(letter["task_id"]).state == "SUCCESS", WAIT)


def give_back(post):
    """Take a message and lose the connection's channel, as a worker does that is killed."""
    channel = post.connection.channel()
    until(lambda: channel.basic_get(QUEUE) is not None)
    channel.close()


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_a_task_that_kills_its_worker_is_parked_when_it_has_killed_enough(shop, post, worker):
    stop(shop)
    result = post.task("shop.kill_worker")
    for _ in range(LIMIT):
        process = shop.start_worker(QUEUE, "shop") or shop.processes["shop"]
        assert process.wait(WAIT) == -signal.SIGKILL
        del shop.processes["shop"]
    worker()

    until(lambda: post.depth() == 1, WAIT)
    assert [letter["reason"] for letter in post.listed()] == ["poison"]
    assert_failed(result)


def test_garbage_is_parked_and_goes_back_as_it_was(shop, post, worker, broker):
    garbage = b"\xff garbage"
    worker()
    channel = post.connection.default_channel
    if broker == "redis":
        channel.client.lpush(QUEUE, garbage)
    else:
        rabbitmq_box._publish(channel, QUEUE, garbage, {})
    until(lambda: post.depth() == 1, WAIT)
    assert post.task("shop.add", [1, 2]).get(timeout=WAIT) == 3
    stop(shop)

    assert [letter["reason"] for letter in post.listed()] == ["not-a-task"]
    assert "garbage" in post.command("show", post.listed()[0]["id"])[1] or post.letters()[0].body == garbage
    assert post.command("replay")[0] == 0
    assert post.raw() == garbage


def test_a_task_that_rejects_its_message_for_good_is_parked(post, worker):
    worker()
    result = post.task("shop.refuse")

    until(lambda: post.depth() == 1, WAIT)
    assert [letter["reason"] for letter in post.listed()] == ["rejected"]
    assert_failed(result)


def test_a_message_that_cannot_be_parked_stays_until_it_can(shop, post, worker, broker, redis, rabbitmq):
    worker()
    post.unknown()  # RabbitMQ refuses what comes after the limit was passed
    until(lambda: post.depth() == 1, WAIT)
    if broker == "redis":
        post.command("purge", "--yes")
    there = post.depth()
    refuse, allow = {
        "redis": (["set", f"dead.{QUEUE}", "no list"], ["del", f"dead.{QUEUE}"]),
        "rabbitmq": (
            ["set_policy", "full", f"^dead.{QUEUE}$", '{"max-length": 0, "overflow": "reject-publish"}'],
            ["clear_policy", "full"],
        ),
    }[broker]
    administer(broker, redis, rabbitmq, refuse)
    try:
        result = post.task("shop.gone")
        shop.wait(lambda: "could not be parked" in shop.log("shop"), "the refusal", WAIT)
        assert result.state == "PENDING"
    finally:
        administer(broker, redis, rabbitmq, allow)

    until(lambda: post.depth() == there + 1, WAIT)
    assert_failed(result)
    assert post.waiting() == 0


def administer(broker, redis, rabbitmq, words):
    if broker == "redis":
        command = ["redis-cli", "-u", "redis://celery:integration@127.0.0.1", *words]
        code, out = redis[0].exec_run(command)
    else:
        code, out = rabbitmq[0].exec_run(["rabbitmqctl", "--vhost", "celery", *words])
    assert code == 0, out
    assert b"ERR" not in out and b"NOPERM" not in out, out


def test_dead_letters_can_be_listed_for_ever(post, worker):
    worker()
    ids = post.unknown(25)
    until(lambda: post.depth() == 25, WAIT)

    for _ in range(30):
        assert [letter.task_id for letter in post.letters()] == ids
    assert post.depth() == 25


def test_filters_choose_and_a_purge_deletes_only_what_they_chose(post, worker):
    worker()
    kept_ids, gone = post.unknown(2, "shop.old"), post.unknown(3)
    until(lambda: post.depth() == 5, WAIT)

    assert [row["task_id"] for row in post.listed("--task", "shop.gone")] == gone
    assert len(post.listed("--limit", "2")) == 2
    assert (
        post.listed("--older-than", "1h")
        == post.listed("--queue", "parcels")
        == post.listed("--reason", "poison")
        == []
    )
    code, text = post.command("show", gone[0])
    assert code == 0 and "shop.gone" in text and "reason:      unknown-task" in text
    assert json.loads(post.command("show", gone[0], "--json")[1])[0]["message"]["body"][0] == [0]
    assert post.command("replay", "--dry-run", "--json") == (0, '{"would_be_put_back": 5}\n')
    assert post.command("purge", "--task", "shop.gone", "--yes") == (
        0,
        f"3 dead letters in parcels, {QUEUE} of task shop.gone deleted.\n",
    )
    assert post.command("purge", "--task", "shop.gone", "--yes")[0] == 1
    assert [row["task_id"] for row in post.listed()] == kept_ids


@pytest.mark.slow
def test_a_replay_that_is_killed_loses_nothing_and_can_be_repeated(shop, post, worker, broker):
    count = 1000
    fill(post, worker, shop, count)
    command = [sys.executable, "-m", "celery_runtime", "dead-letters", "replay", "--queue", QUEUE]
    process = subprocess.Popen(command, cwd=ROOT, env=shop.environment, stderr=subprocess.DEVNULL)
    until(lambda: post.waiting() > 50, WAIT)

    process.kill()
    process.wait()

    until(lambda: post.waiting() + post.depth() >= count, WAIT)
    assert 50 < post.waiting() < count
    doubled = post.waiting() + post.depth() - count
    assert doubled == 0 if broker == "redis" else doubled <= 1
    assert post.command("replay")[0] == 0
    assert (post.waiting(), post.depth()) == (count + doubled, 0)
    assert len(set(post.task_ids())) == count


def fill(post, worker, shop, count):
    """Make `count` dead letters of one."""
    worker()
    post.unknown()
    until(lambda: post.depth() == 1, WAIT)
    shop.stop("shop")
    (letter,) = post.letters()
    post.command("purge", "--yes")
    (post.copies_on_redis if post.is_redis else post.copies_on_rabbitmq)(letter, count)
    until(lambda: post.depth() == count, WAIT)
