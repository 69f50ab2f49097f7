"""The examples, each in processes of its own, on the brokers of the integration tests."""

from __future__ import annotations

from itertools import count
from urllib.parse import urlsplit

import pytest

from tests.apps.sides import Place
from tests.apps.subjects import SUBJECTS
from tests.integration.conftest import PASSWORD, containers, images, own_redis, postgres, rabbitmq, secrets

__all__ = ["containers", "images", "own_redis", "postgres", "rabbitmq", "secrets"]  # fixtures
on_each_broker = pytest.mark.parametrize("broker", ["redis", pytest.param("rabbitmq", marks=pytest.mark.slow)])
of_each_example = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)


@pytest.fixture(scope="session")
def place(own_redis, secrets, request):
    """Makes places for an example: databases of Redis and PostgreSQL, a vhost of RabbitMQ, that nobody else uses."""
    numbers = count(1)

    def make(subject, broker):
        port, admin = own_redis
        number = next(numbers)
        redis = f"redis://celery@127.0.0.1:{port}/{number % 16}"
        admin.execute_command("SELECT", number % 16)
        admin.flushdb()
        admin.execute_command("SELECT", 0)
        url = _vhost(*request.getfixturevalue("rabbitmq"), f"apps{number}") if broker == "rabbitmq" else None
        database = (
            _database(*request.getfixturevalue("postgres"), f"apps{number}") if subject.name == "django" else None
        )
        return Place(broker, redis, secrets / "password", url, database)

    assert (secrets / "password").read_text() == PASSWORD
    return make


def _vhost(container, url, name):
    rights = [".*"] * 3
    for command in (["add_vhost", name], ["set_permissions", "-p", name, "celery", *rights]):
        _control(container, *command)
    return f"{url.rpartition('/')[0]}/{name}"


def _database(container, url, name):
    sql = ["psql", "-U", "app", "-c", f"CREATE DATABASE {name}"]
    assert container.exec_run(sql, environment={"PGPASSWORD": PASSWORD}).exit_code == 0
    return f"{urlsplit(url).port}/{name}"


def _control(container, *command):
    code, said = container.exec_run(["rabbitmqctl", "-q", *command])
    assert code == 0, said


@pytest.fixture
def cut_clients(own_redis, request):
    """Cuts every connection to the broker of a side."""

    def cut(side):
        if side.place.broker == "rabbitmq":
            _control(request.getfixturevalue("rabbitmq")[0], "close_all_connections", "as a test asked")
        else:
            own_redis[1].client_kill_filter(skipme=True, user="celery")

    return cut
