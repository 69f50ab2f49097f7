"""Real brokers and a real database in containers, and the app's own processes in front of them.

The brokers run with the configuration of the Compose stack, so that a test that passes here tells about the stack.
"""

from __future__ import annotations

import os

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # its image is not to be had everywhere; see `containers`

import gc
import importlib
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import docker
import psutil
import pytest
from docker.errors import APIError
from redis import Redis
from testcontainers.core.container import DockerContainer
from xdist.scheduler import LoadScopeScheduling

from tests import brokers
from tests.images import image_names
from tests.integration.processes import Service
from tests.integration.redis_peers import Peer
from tests.integration.redis_servers import answers, make_certificates

ROOT = Path(__file__).parents[2]
LABEL = "celery-blueprint.integration"
PASSWORD = "integration"
WITH_THE_APP = ("patterns/", "test_drain", "test_outages", "test_page", "test_publishing", "test_tasks")
QUICK = {("redis", "direct"), ("redis", "threads"), ("redis", "solo"), ("rabbitmq", "direct")}

rabbitmq_is_slow = brokers.rabbitmq_is_slow("broker")
on_each_pool = pytest.mark.parametrize(
    ("broker", "pool"),
    [
        pytest.param(broker, pool, marks=() if (broker, pool) in QUICK else pytest.mark.slow)
        for broker in ("redis", "rabbitmq")
        for pool in ("direct", "prefork", "threads", "solo")
    ],
    indirect=["broker"],
    scope="session",
)


class ByApp(LoadScopeScheduling):
    """One process has the tests of the whole app on one broker, so that it starts once; of the others a file at a time.

    Whoever has the most tests begins, which are the two with the app.
    """

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        broker = re.search(r"[-\[](redis|rabbitmq)[-\]]", nodeid)
        return broker[1] if broker and file.removeprefix("tests/integration/").startswith(WITH_THE_APP) else file


def pytest_xdist_make_scheduler(config, log):
    return ByApp(config, log)


@pytest.fixture(scope="session")
def images():
    """The name of each third-party image, by service: whatever `make up` uses on this machine."""
    return image_names()


@pytest.fixture(scope="session")
def containers():
    """Starts containers on free ports of 127.0.0.1, and removes them whatever happened."""
    run = f"{LABEL}={os.getpid()}"
    _remove_leftovers()

    def start(image, port, *command, files=(), env=(), user=None):
        container = DockerContainer(image).with_kwargs(labels=dict([run.split("=")]), user=user)
        container.ports[f"{port}/tcp"] = ("127.0.0.1", None)
        for name, value in dict(env).items():
            container.with_env(name, value)
        for host, inside in files:
            container.with_volume_mapping(str(host), inside, "ro")
        if command:
            container.with_command(list(command))
        container.start()
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        return wrapped, int(wrapped.ports[f"{port}/tcp"][0]["HostPort"])

    yield start
    gc.collect()  # results that nobody refers to any more unsubscribe, which takes their server
    client = docker.from_env()
    for container in client.containers.list(all=True, filters={"label": run}):
        container.remove(force=True, v=True)
    client.close()


def _remove_leftovers():
    """Remove the containers of runs that were killed before they could; other test processes do so too."""
    client = docker.from_env()
    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        if not psutil.pid_exists(int(container.labels[LABEL])):
            try:
                container.remove(force=True, v=True)
            except APIError as error:
                if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):  # gone, or just about to be
                    raise
    client.close()


@pytest.fixture(scope="session")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("postgres", "redis", "rabbitmq", "flower", "grafana"):
        (folder / f"{name}_password").write_text(PASSWORD)
    environment = os.environ | {"SECRETS_DIR": str(folder)}
    subprocess.run([ROOT / "deploy/compose/secrets.sh"], env=environment, check=True, stderr=subprocess.DEVNULL)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)  # the servers read as users of their own
    return folder


@pytest.fixture(scope="session")
def redis(images, containers, secrets):
    config = ROOT / "deploy/compose/config/redis.conf"
    files = [(config, "/etc/redis/redis.conf"), (secrets / "redis_users", "/run/secrets/redis_users")]
    container, port = containers(
        images["redis"], 6379, "redis-server", "/etc/redis/redis.conf", files=files, user="redis"
    )
    login = f"celery:{PASSWORD}"
    until(lambda: b"PONG" in container.exec_run(["redis-cli", "-u", f"redis://{login}@127.0.0.1", "ping"]).output)
    return container, f"redis://celery@127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def own_redis(images, containers, secrets, tmp_path_factory):
    """A Redis that tests may fill, cut off and flush: its port, and a client that may do everything there."""
    users = tmp_path_factory.mktemp("users") / "redis_users"
    users.write_text(f"{(secrets / 'redis_users').read_text()}user admin on >{PASSWORD} ~* &* +@all\n")
    users.chmod(0o644)
    config = ROOT / "deploy/compose/config/redis.conf"
    files = [(config, "/etc/redis/redis.conf"), (users, "/run/secrets/redis_users")]
    _, port = containers(images["redis"], 6379, "redis-server", "/etc/redis/redis.conf", files=files, user="redis")
    with Redis(port=port, username="admin", password=PASSWORD, decode_responses=True) as admin:
        until(lambda: answers(admin))
        yield port, admin


@pytest.fixture
def admin(own_redis):
    own_redis[1].flushall()
    return own_redis[1]


@pytest.fixture
def peer(own_redis, admin):
    """Makes consumers and producers of that Redis, and closes them."""
    with ExitStack() as stack:

        def make(*arguments, **options):
            made = Peer(own_redis[0], *arguments, password=PASSWORD, **options)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(scope="session")
def rabbitmq(images, containers, secrets):
    config = ROOT / "deploy/compose/config"
    files = [
        (config / "rabbitmq.conf", "/etc/rabbitmq/rabbitmq.conf"),
        (config / "rabbitmq-plugins", "/etc/rabbitmq/enabled_plugins"),
        (secrets / "rabbitmq_conf", "/etc/rabbitmq/conf.d/20-password.conf"),
    ]
    container, port = containers(images["rabbitmq"], 5672, files=files, user="rabbitmq")
    until(lambda: container.exec_run(["rabbitmq-diagnostics", "-q", "check_port_connectivity"]).exit_code == 0, 60)
    return container, f"amqp://celery@127.0.0.1:{port}/celery"


@pytest.fixture(scope="session")
def on_redis(redis, secrets):
    """The variables that any app's worker gets."""
    return {"BROKER": "redis", "REDIS_URL": redis[1], "REDIS_PASSWORD_FILE": str(secrets / "password")}


@pytest.fixture(scope="session")
def on_rabbitmq(on_redis, rabbitmq):
    password = on_redis["REDIS_PASSWORD_FILE"]
    return on_redis | {"BROKER": "rabbitmq", "RABBITMQ_URL": rabbitmq[1], "RABBITMQ_PASSWORD_FILE": password}


@pytest.fixture(scope="session")
def postgres(images, containers, secrets):
    env = {"POSTGRES_USER": "app", "POSTGRES_DB": "app", "POSTGRES_PASSWORD_FILE": "/run/secrets/password"}
    files = [(secrets / "password", "/run/secrets/password")]
    container, port = containers(images["postgres"], 5432, "postgres", files=files, env=env, user="postgres")
    until(lambda: container.exec_run(["pg_isready", "-h", "127.0.0.1", "-U", "app", "-q"]).exit_code == 0)
    return container, f"postgresql+psycopg://app@127.0.0.1:{port}/app"


@pytest.fixture(scope="session", params=["redis", "rabbitmq"])
def broker(request):
    """The name of the broker; every test that uses it runs on both."""
    return request.param


@pytest.fixture(scope="session")
def environment(broker, redis, postgres, secrets, request):
    """The variables that every process of the app gets."""
    variables = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}},
        "BROKER": broker,
        "REDIS_URL": redis[1],
        "DATABASE_URL": postgres[1],
        "QUEUES_FILE": str(ROOT / "queues.toml"),
        "PYTHONPATH": str(ROOT),
        "FAULTS": "on",
        "MAIL_TO": "owner@example.org",
        "SMTP_HOST": "127.0.0.1",
    }
    variables |= {f"{name}_PASSWORD_FILE": str(secrets / "password") for name in ("REDIS", "RABBITMQ", "DATABASE")}
    if broker == "rabbitmq":
        variables["RABBITMQ_URL"] = request.getfixturevalue("rabbitmq")[1]
    return variables


@pytest.fixture(scope="session")
def service(environment, tmp_path_factory):
    """The app on one broker: migrated, with its API, a mailbox, and a worker per queue that has tasks."""
    service = Service(environment, tmp_path_factory.mktemp("logs"))
    try:
        service.start_all()
        yield service
    finally:
        service.stop_all()


@pytest.fixture(scope="session")
def bases(broker, environment, postgres, tmp_path_factory):
    """The app of the bases in this process, with a worker of two children; nothing of it meets the other app's."""
    container, url = postgres
    name = f"bases_{broker}"
    sql = ["psql", "-U", "app", "-c", f"CREATE DATABASE {name}"]
    assert container.exec_run(sql, environment={"PGPASSWORD": "integration"}).exit_code == 0
    folder = tmp_path_factory.mktemp("bases")
    (folder / "queues.toml").write_text("[queues.bases]\nconcurrency = 2\n")
    variables = environment | {
        "REDIS_URL": f"{environment['REDIS_URL'].rpartition('/')[0]}/1",
        "BASES_DATABASE_URL": f"{url.rpartition('/')[0]}/{name}",
        "QUEUES_FILE": str(folder / "queues.toml"),
        "CELERY_APP": "tests.integration.bases_app:app",
    }
    with pytest.MonkeyPatch.context() as patch:  # only while the app is made: later tests have apps of their own
        for key, value in variables.items():
            patch.setenv(key, value)
        sys.modules.pop("tests.integration.bases_app", None)  # that of the other broker
        bases_app = importlib.import_module("tests.integration.bases_app")
        bases_app.metadata.create_all(bases_app.engine())
    service = bases_app.service = Service(variables, folder)
    service.start_worker("bases")
    try:
        service.wait(lambda: service.health("worker-bases", "ready"), "the worker to be ready")
        yield bases_app
    finally:
        service.stop_all()
        bases_app.app.backend.client.close()
        bases_app.app.close()
        bases_app.engine().dispose()


@pytest.fixture
def key():
    return uuid4().hex


@pytest.fixture
def clean_mailbox(service):
    service.mail.delete("/api/messages").raise_for_status()
    return service.mail


def until(condition, seconds=30):
    """Wait until `condition()` is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A folder with a certificate authority, and a server's certificate for 127.0.0.1."""
    return make_certificates(tmp_path_factory.mktemp("tls"))
