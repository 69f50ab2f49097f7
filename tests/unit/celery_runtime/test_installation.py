from __future__ import annotations

import gc

import pytest
from celery import Celery
from celery.signals import before_task_publish, worker_before_create_process
from kombu.transport import redis as stock
from redis.exceptions import ConnectionError as RedisConnectionError

from celery_runtime import install
from celery_runtime.publishing import publish_patiently
from celery_runtime.settings import ConfigError


@pytest.fixture
def installed(monkeypatch, tmp_path):
    def install_with(broker, text="[queues.default]\n[queues.media]\ntime_limit = 7200\n"):
        (tmp_path / "queues.toml").write_text(text)
        monkeypatch.setenv("QUEUES_FILE", str(tmp_path / "queues.toml"))
        monkeypatch.setenv("BROKER", broker)
        return install(Celery("some-app"))

    return install_with


def test_a_channel_whose_connection_was_closed_says_so(installed):
    installed("redis")
    channel = stock.Channel.__new__(stock.Channel)  # a whole one needs a server
    channel.connection = None
    channel.closed = True

    with pytest.raises(RedisConnectionError, match="closed meanwhile"):
        channel._connparams()


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_no_message_is_acknowledged_before_its_task_ended(installed, broker):
    conf = installed(broker).conf

    assert conf.task_acks_late and conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.broker_connection_max_retries is None
    assert conf.accept_content == ["json"]


def test_redis_gives_a_dead_workers_messages_back_within_a_minute(installed):
    conf = installed("redis").conf

    assert conf.broker_transport_options["visibility_timeout"] == 60
    assert conf.broker_transport_options["socket_timeout"] == 5


def test_parts_that_are_switched_off_stay_celerys(installed, monkeypatch):
    steps = len(installed("redis").steps["consumer"])

    monkeypatch.setenv("RUNTIME_OFF", "claim, lease,drain,health")

    # The lease, which claims too; what joins the direct pool to it; the drain; the health; who consumes what.
    assert len(installed("redis").steps["consumer"]) == steps - 5


def test_rabbitmq_confirms_every_message_into_a_quorum_queue(installed):
    conf = installed("rabbitmq").conf

    assert conf.broker_transport_options == {"confirm_publish": True}
    assert {queue.queue_arguments["x-queue-type"] for queue in conf.task_queues} == {"quorum"}
    assert conf.result_backend.startswith("redis://")


def test_queues_on_rabbitmq_are_those_of_plain_celery_when_asked(installed, monkeypatch):
    monkeypatch.setenv("RABBITMQ_QUEUES", "classic")
    app, plain = installed("rabbitmq"), Celery("plain", set_as_current=False)

    for name in ("default", "media"):
        ours, theirs = app.amqp.queues[name], plain.amqp.queues[name]
        for part in ("name", "routing_key", "durable", "exclusive", "auto_delete"):
            assert getattr(ours, part) == getattr(theirs, part)
        assert (ours.exchange.name, ours.exchange.type) == (theirs.exchange.name, theirs.exchange.type)
        assert not ours.queue_arguments and not theirs.queue_arguments


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_workers_park_what_they_cannot_run_unless_that_is_switched_off(installed, monkeypatch, broker):
    assert "dead_letters" in installed(broker).conf.worker_consumer
    monkeypatch.setenv("RUNTIME_OFF", "dead-letters")
    assert "dead_letters" not in installed(broker).conf.worker_consumer


def test_only_queues_of_the_file_exist(installed):
    app = installed("redis")

    assert [queue.name for queue in app.conf.task_queues] == ["default", "media"]
    assert app.conf.task_default_queue == "default"
    assert app.conf.task_create_missing_queues is False


def test_a_file_without_a_queue_named_default_sends_to_its_first(installed):
    assert installed("redis", "[queues.slow]\n[queues.fast]\n").conf.task_default_queue == "slow"


def test_a_web_process_gives_up_publishing_and_a_worker_does_not(installed):
    app = installed("redis")
    assert app.conf.task_publish_retry_policy["max_retries"] == 5

    publish_patiently(app)
    assert app.conf.task_publish_retry_policy["max_retries"] is None
    policy = dict(app.conf.task_publish_retry_policy)
    before_task_publish.send(sender="a", retry_policy=policy)
    assert policy["max_retries"] > 10**9  # where Celery takes None for 3: publishing the next task of a chain


def test_a_broken_file_is_a_config_error(installed):
    with pytest.raises(ConfigError, match="is not a known key"):
        installed("redis", "[queues.a]\nspeed = 1\n")


def test_the_first_fork_takes_the_worker_out_of_the_garbage_collection_before_each(installed):
    installed("redis")
    try:
        worker_before_create_process.send(sender=None)
        frozen = gc.get_freeze_count()
        worker_before_create_process.send(sender=None)

        assert frozen > 10_000
        assert gc.get_freeze_count() <= frozen
    finally:
        gc.unfreeze()
