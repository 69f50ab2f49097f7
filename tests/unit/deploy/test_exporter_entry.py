from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ENTRY = Path(__file__).parents[3] / "deploy/images/exporter/entry.py"
specification = importlib.util.spec_from_file_location("exporter_entry", ENTRY)
entry = importlib.util.module_from_spec(specification)
specification.loader.exec_module(entry)


def test_the_password_of_the_chosen_broker_comes_from_its_file(tmp_path):
    (tmp_path / "password").write_text("p@ss\n")
    environment = {
        "BROKER": "rabbitmq",
        "RABBITMQ_URL": "amqp://celery@rabbitmq:5672/celery",
        "RABBITMQ_PASSWORD_FILE": str(tmp_path / "password"),
    }

    assert entry.broker_url(environment) == "amqp://celery:p%40ss@rabbitmq:5672/celery"


def test_a_broker_without_a_password_needs_no_file():
    assert entry.broker_url({"REDIS_URL": "redis://redis:6379/0"}) == "redis://redis:6379/0"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"BROKER": "kafka"}, "BROKER='kafka'"),
        ({"REDIS_URL": ""}, "REDIS_URL='' names no host"),
        ({"REDIS_URL": "redis://h/0", "REDIS_PASSWORD_FILE": "/absent"}, "REDIS_PASSWORD_FILE=/absent"),
        ({"REDIS_URL": "redis://h/0", "REDIS_PASSWORD_FILE": "/dev/null"}, "is empty"),
    ],
)
def test_a_wrong_setting_is_named(environment, words):
    with pytest.raises(ValueError, match=words):
        entry.broker_url(environment)
