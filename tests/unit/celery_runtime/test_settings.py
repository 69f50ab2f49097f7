from __future__ import annotations

import pytest

from celery_runtime.settings import ConfigError, RuntimeSettings, load


def test_the_defaults_are_a_local_redis(monkeypatch):
    assert load(RuntimeSettings).broker_url == "redis://127.0.0.1:6379/0"


def test_a_password_from_a_file_is_put_into_the_url_quoted(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("p@ss/word\n")
    monkeypatch.setenv("REDIS_URL", "redis://celery@redis:6379/0")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))

    assert load(RuntimeSettings).redis == "redis://celery:p%40ss%2Fword@redis:6379/0"


def test_any_variable_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("rediss://user:secret@cache.example:6380/2\n")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))

    assert load(RuntimeSettings).broker_url == "rediss://user:secret@cache.example:6380/2"


def test_rabbitmq_carries_tasks_and_redis_the_results(monkeypatch):
    monkeypatch.setenv("BROKER", "rabbitmq")
    settings = load(RuntimeSettings)

    assert settings.broker_url == "amqp://celery@127.0.0.1:5672/celery"
    assert settings.redis == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        ("BROKER", "kafka", ["BROKER = 'kafka'", "'redis' or 'rabbitmq'", "BROKER=redis"]),
        ("REDIS_URL", "http://redis", ["REDIS_URL = 'http://redis'", "redis://celery@redis:6379/0"]),
        ("REDIS_URL", "redis://[", ["REDIS_URL = 'redis://['", "redis://celery@redis:6379/0"]),
        ("REDIS_URL", "redis://h:notaport/0", ["REDIS_URL = 'redis://h:notaport/0'", "Port could not be"]),
        ("REDIS_URL", "redis://h/notadb", ["database 'notadb' is not a number"]),
        ("RABBITMQ_URL", "amqp://", ["RABBITMQ_URL = 'amqp://'", "names no host"]),
        ("REDIS_URL", "unix:///run/redis.sock", ["REDIS_URL = 'unix:///run/redis.sock'"]),
        ("REDIS_URL", "redis://a/0;redis://b/0", ["several servers", "sentinel://"]),
        ("REDIS_URL", "sentinel://a/zero", ["database 'zero' is not a number"]),
        ("RUNTIME_OFF", "drain,brakes", ["RUNTIME_OFF = 'drain,brakes'", "no part 'brakes'", "claim, lease, drain"]),
        ("VISIBILITY_TIMEOUT", "1", ["VISIBILITY_TIMEOUT = '1'", "greater than or equal to 5", "=60"]),
        ("RABBITMQ_URL", "amqp://a/v;amqp://", ["'amqp://': it names no host"]),
        ("RABBITMQ_URL", "amqp://a/v;amqp://b:x/v", ["'amqp://b:x/v'", "Port could not be"]),
        ("RABBITMQ_URL", "amqp://a/v;redis://b/0", ["different kinds of servers"]),
        ("RABBITMQ_URL", "amqp://a/v;amqp://u:hunter2@b/v", ["RABBITMQ_URL contains a password"]),
        ("DELIVERY_LIMIT", "0", ["DELIVERY_LIMIT = '0'", "DELIVERY_LIMIT=5"]),
        ("HEALTH_PORT", "70000", ["HEALTH_PORT = '70000'", "65535", "HEALTH_PORT=9808"]),
        ("HEALTH_PORT", "http", ["HEALTH_PORT = 'http'", "integer"]),
        ("REDIS_PASSWORD", "hunter2", ["REDIS_PASSWORD is a secret", "REDIS_PASSWORD_FILE"]),
        ("REDIS_URL", "redis://u:hunter2@h/0", ["REDIS_URL contains a password", "REDIS_URL_FILE"]),
        ("REDIS_PASSWORD_FILE", "/absent/file", ["REDIS_PASSWORD_FILE = '/absent/file'", "No such file"]),
        ("REDIS_PASSWORD_FILE", "/", ["cannot be read", "Is a directory"]),
        ("REDIS_PASSWORD_FILE", "/dev/null", ["is empty", "Write the value"]),
    ],
)
def test_a_fault_names_variable_value_and_remedy_but_no_secret(monkeypatch, name, value, names):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error:
        load(RuntimeSettings)

    for text in names:
        assert text in str(error.value)
    assert "hunter2" not in str(error.value)


def test_each_node_of_a_cluster_gets_the_password(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("p@ss\n")
    monkeypatch.setenv("BROKER", "rabbitmq")
    monkeypatch.setenv("RABBITMQ_URL", "amqp://celery@a:5672/v;amqp://celery@b:5672/v")
    monkeypatch.setenv("RABBITMQ_PASSWORD_FILE", str(tmp_path / "password"))

    assert load(RuntimeSettings).broker_url == "amqp://celery:p%40ss@a:5672/v;amqp://celery:p%40ss@b:5672/v"


def test_a_variable_given_twice_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("REDIS_URL", "redis://a/0")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path))
    with pytest.raises(ConfigError, match="REDIS_URL and REDIS_URL_FILE are both set"):
        load(RuntimeSettings)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://celery:secret@127.0.0.1:15672/celery"),
        ({"RABBITMQ_URL": "amqps://u@rabbit:5671/v;amqps://u@b:5671/v"}, "https://u:secret@rabbit:15671/v"),
        ({"RABBITMQ_MANAGEMENT_URL": "https://console.example"}, "https://celery:secret@console.example/celery"),
    ],
)
def test_the_management_api_is_beside_the_broker_with_its_login(monkeypatch, tmp_path, variables, url):
    (tmp_path / "password").write_text("secret")
    for name, value in {"RABBITMQ_PASSWORD_FILE": str(tmp_path / "password"), **variables}.items():
        monkeypatch.setenv(name, value)
    assert load(RuntimeSettings).rabbitmq_management == url
