"""The app's own settings win, but for those that break a guarantee and those that the environment says."""

from __future__ import annotations

import logging

import pytest
from celery import Celery
from celery.signals import beat_init, celeryd_after_setup
from kombu import Queue

from celery_runtime import install, own_settings
from celery_runtime.promises import BREAKING
from celery_runtime.settings import ConfigError

REDIS = "redis://127.0.0.1:6379/0"
UNSAFE = {
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    "task_create_missing_queues": True,
    "worker_prefetch_multiplier": 4,
    "broker_connection_max_retries": 100,
    "broker_connection_retry_on_startup": False,
    "broker_heartbeat": 0,
    "accept_content": ["json", "pickle"],
    "task_serializer": "pickle",
    "result_serializer": "yaml",
}


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Installs the runtime on an app with these settings, in an environment with these variables."""

    def install_on(conf=None, make=Celery, **variables):
        (tmp_path / "queues.toml").write_text("[queues.default]\n[queues.media]\n")
        for name, value in {"QUEUES_FILE": str(tmp_path / "queues.toml"), **variables}.items():
            monkeypatch.setenv(name, value)
        app = make("some-app", set_as_current=False)
        app.conf.update(conf or {})
        return install(app)

    yield install_on
    for signal in (celeryd_after_setup, beat_init):
        signal.disconnect(dispatch_uid=f"{own_settings.__name__}.warn")


@pytest.fixture
def warnings(caplog):
    """What a worker, or Beat, warns of when it starts."""

    def start(signal=celeryd_after_setup):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            signal.send(sender="worker")
        return [record.getMessage() for record in caplog.records]

    return start


def test_the_apps_own_settings_win(installed, warnings):
    own = {
        "timezone": "Europe/Berlin",
        "result_expires": 60,
        "result_backend": "django-db",
        "beat_scheduler": "django_celery_beat.schedulers:DatabaseScheduler",
        "worker_eta_task_limit": 7,
        "accept_content": ["json", "msgpack"],
        "broker_transport_options": {"global_keyprefix": "shop:", "socket_timeout": 30},
    }
    conf = installed(own).conf

    assert {name: conf[name] for name in own if name != "broker_transport_options"} == {
        name: value for name, value in own.items() if name != "broker_transport_options"
    }
    options = conf.broker_transport_options
    assert (options["global_keyprefix"], options["socket_timeout"], options["visibility_timeout"]) == ("shop:", 30, 60)
    assert warnings() == []


def test_each_that_breaks_a_guarantee_is_tried():
    assert set(UNSAFE) == set(BREAKING)


@pytest.mark.parametrize("name", UNSAFE)
def test_what_breaks_a_guarantee_is_replaced_and_told(installed, warnings, name):
    conf = installed({name: UNSAFE[name]}).conf
    (warning,) = warnings()

    assert conf[name] != UNSAFE[name]
    for part in (name, repr(UNSAFE[name]), repr(conf[name]), BREAKING[name][1], f"KEEP_SETTINGS={name}"):
        assert part in warning
    assert warnings(beat_init) == [warning]


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_kept_stays_and_is_not_told(installed, warnings, name):
    assert installed({name: UNSAFE[name]}, KEEP_SETTINGS=name).conf[name] == UNSAFE[name]
    assert warnings() == []


def test_what_cannot_be_kept_is_refused(installed):
    with pytest.raises(ConfigError, match=r"KEEP_SETTINGS = 'timezone' is not valid.*those are task_acks_late"):
        installed(KEEP_SETTINGS="timezone")


def test_the_broker_and_its_redis_are_those_of_the_environment_and_passwords_stay_secret(installed, warnings):
    own = {"broker_url": "amqp://me:hush@elsewhere//", "broker_write_url": "redis://w", "result_backend": "redis://r"}
    conf = installed(own).conf

    assert (conf.broker_url, conf.broker_write_url, conf.result_backend) == (REDIS, REDIS, REDIS)
    told = warnings()
    assert len(told) == 3 and "hush" not in "".join(told) and "amqp://me:**@elsewhere//" in told[0]
    assert "BROKER and REDIS_URL" in told[0] and "KEEP_SETTINGS=result_backend" in told[2]


def test_results_in_another_redis_can_be_kept(installed, warnings):
    own = {"result_backend": "redis://r", "result_backend_transport_options": {"global_keyprefix": "r:"}}
    conf = installed(own, KEEP_SETTINGS="result_backend").conf

    assert conf.result_backend == "redis://r"
    assert conf.result_backend_transport_options == {"global_keyprefix": "r:"} and warnings() == []


def test_queues_are_those_of_the_file(installed, warnings):
    conf = installed({"task_queues": [Queue("old")], "task_default_queue": "old"}).conf

    assert [queue.name for queue in conf.task_queues] == ["default", "media"]
    assert conf.task_default_queue == "default"
    assert all("queues.toml" in warning and "'old'" in warning for warning in warnings()) and len(warnings()) == 2


def test_a_default_queue_of_the_file_is_the_apps_own(installed, warnings):
    assert installed({"task_default_queue": "media"}).conf.task_default_queue == "media"
    assert warnings() == []


def test_a_visibility_timeout_is_set_by_its_variable(installed, warnings):
    conf = installed({"broker_transport_options": {"visibility_timeout": 3600}}).conf

    assert conf.broker_transport_options["visibility_timeout"] == 60
    (warning,) = warnings()
    assert "broker_transport_options['visibility_timeout'] = 3600" in warning and "VISIBILITY_TIMEOUT" in warning


def test_rabbitmq_confirms_whatever_the_app_says(installed, warnings):
    conf = installed({"broker_transport_options": {"confirm_publish": False}}, BROKER="rabbitmq").conf

    assert conf.broker_transport_options["confirm_publish"] is True
    assert "confirm_publish" in warnings()[0]


def test_settings_with_a_prefix_are_the_apps_own_too(installed, warnings):
    class Settings:
        CELERY_TASK_ACKS_LATE = False
        CELERY_RESULT_EXPIRES = 60

    def make(*args, **options):
        app = Celery(*args, **options)
        app.config_from_object(Settings, namespace="CELERY")
        return app

    conf = installed(make=make).conf

    assert (conf.task_acks_late, conf.result_expires) == (True, 60)
    assert "task_acks_late = False" in warnings()[0]


def test_settings_that_were_read_before_are_the_apps_own_too(installed, warnings):
    def make(*args, **options):
        app = Celery(*args, **options)
        app.conf.update(task_acks_late=False, result_expires=60)
        assert app.conf.timezone is None
        return app

    conf = installed(make=make).conf

    assert (conf.task_acks_late, conf.result_expires) == (True, 60)
    assert "task_acks_late = False" in warnings()[0]


def test_what_the_app_does_after_is_heard_as_ever(installed):
    app = installed()

    @app.on_after_configure.connect
    def hear(sender, **_):
        heard.append(sender)

    heard = []
    app.config_from_object({"result_expires": 5, "task_track_started": True})
    assert app.conf.task_track_started and app.conf.task_acks_late and heard == [app]


@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"])
def test_a_variable_that_celery_takes_above_all_is_refused(installed, name):
    with pytest.raises(ConfigError, match=rf"(?s){name} = 'redis://me:..@elsewhere/' .*REDIS_URL") as refusal:
        installed(**{name: "redis://me:hush@elsewhere"})
    assert "hush" not in str(refusal.value)
    assert installed(**{name: REDIS}).conf.broker_url == REDIS
