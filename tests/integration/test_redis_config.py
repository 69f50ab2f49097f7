"""Redis with the stack's configuration and users."""

from __future__ import annotations

import pytest
import redis as redis_py
from redis.exceptions import NoPermissionError

from tests.integration.conftest import PASSWORD, ROOT, until


@pytest.fixture
def server(images, containers, secrets):
    files = [
        (ROOT / "deploy/compose/config/redis.conf", "/etc/redis/redis.conf"),
        (secrets / "redis_users", "/run/secrets/redis_users"),
    ]
    container, port = containers(
        images["redis"], 6379, "redis-server", "/etc/redis/redis.conf", files=files, user="redis"
    )
    until(lambda: healthy(container))
    yield container, port
    container.remove(force=True, v=True)


def healthy(container):
    return container.exec_run(["redis-cli", "-e", "-u", "redis://health:-@127.0.0.1", "ping"]).exit_code == 0


def client(port, **login):
    return redis_py.Redis(port=port, **login)


def test_transactions_and_scripts_outlive_a_restart(server):
    """Redis reads its append-only file as the user `default`, and leaves out what that user may not do."""
    container, port = server
    celery = client(port, username="celery", password=PASSWORD)
    celery.eval("redis.call('SET', 'a', 1) redis.call('SET', 'b', 1)", 0)
    celery.pipeline(transaction=True).set("c", 1).set("d", 1).execute()
    celery.close()

    container.restart()
    until(lambda: healthy(container))
    container.reload()
    port = int(container.ports["6379/tcp"][0]["HostPort"])

    with client(port, username="celery", password=PASSWORD) as celery:
        assert celery.mget("a", "b", "c", "d") == [b"1"] * 4


def test_without_a_password_nothing_but_ping_is_allowed(server):
    _, port = server
    with client(port) as anonymous, pytest.raises(redis_py.AuthenticationError):
        anonymous.get("a")
    with client(port, username="default", password="") as default, pytest.raises(redis_py.AuthenticationError):
        default.ping()
    with client(port, username="health", password="-") as health:
        assert health.ping()
        with pytest.raises(NoPermissionError):
            health.get("a")
