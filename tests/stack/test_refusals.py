"""`make up` with something wrong: exit code 2, one clear message, and nothing started."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.stack.stack import PORTS, ROOT, Stack, run

NOBODY = 65534
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "secrets", ".env", ".dev", "__pycache__", ".*_cache")
PASSWORDS = ("postgres", "redis", "rabbitmq", "flower", "grafana")


@pytest.fixture
def environ(tmp_path):
    """A project that isn't up, with ports that are free."""
    return {
        **os.environ,
        **free_ports(PORTS),
        "BROKER": "redis",
        "PROJECT": f"stack-test-{secrets.token_hex(3)}",
        "SECRETS_DIR": str(tmp_path / "secrets"),
    }


def assert_refused(environ, *words, root=ROOT):
    stack = Stack(environ, root)
    try:
        result = stack.up()
        assert result.returncode == 2, result.stdout + result.stderr
        for word in words:
            assert word in result.stderr + result.stdout
        assert "Traceback" not in result.stderr + result.stdout
        assert stack.containers() == {}
        assert stack.networks() == []
    finally:
        stack.remove()


@pytest.mark.parametrize("broker", ["kafka", "Redis", "redis "])
def test_an_unknown_broker(environ, broker):
    assert_refused(
        environ | {"BROKER": broker}, f"BROKER = '{broker}' is not a broker", "BROKER=redis or BROKER=rabbitmq"
    )


@pytest.mark.parametrize("variable", [port for port in PORTS if port not in {"GRAFANA_PORT", "RABBITMQ_PORT"}])
def test_a_port_in_use_names_the_variable_that_changes_it(environ, variable):
    with socket.create_server(("127.0.0.1", int(environ[variable]))):
        assert_refused(environ, f"Port {environ[variable]} on 127.0.0.1 is in use", f"{variable}=")


def test_one_port_for_two_services(environ):
    twins = {"API_PORT": environ["API_PORT"], "FLOWER_PORT": environ["API_PORT"]}
    assert_refused(environ | twins, f"FLOWER_PORT = {environ['API_PORT']} is given to two services")


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_a_port_that_is_none(environ, port):
    assert_refused(environ | {"FLOWER_PORT": port}, f"FLOWER_PORT = '{port}' is not a port")


def test_a_project_name_that_docker_would_refuse(environ):
    name = environ["PROJECT"]
    stack = Stack(environ | {"PROJECT": f"{name} Upper"})
    result = stack.up()
    assert result.returncode == 2
    assert "is not a name for a Compose project" in result.stderr


@pytest.fixture
def passwords(environ):
    """The secrets of an earlier `make up`."""
    folder = Path(environ["SECRETS_DIR"])
    folder.mkdir()
    for name in PASSWORDS:
        (folder / f"{name}_password").write_text(secrets.token_hex(16))
    return folder


def test_a_missing_password_whose_database_exists(environ, passwords):
    (passwords / "postgres_password").unlink()
    volume = f"{environ['PROJECT']}_postgres"
    label = f"com.docker.compose.project={environ['PROJECT']}"
    assert run(["docker", "volume", "create", "--label", label, volume]).returncode == 0
    try:
        assert_refused(environ, "postgres_password is missing", volume)
    finally:
        run(["docker", "volume", "rm", volume])


def test_an_empty_password(environ, passwords):
    (passwords / "redis_password").write_text("")
    assert_refused(environ, f"{passwords}/redis_password is empty")


def test_a_password_that_is_a_folder(environ, passwords):
    (passwords / "flower_password").unlink()
    (passwords / "flower_password").mkdir()
    assert_refused(environ, f"{passwords}/flower_password is not a file")


def test_a_password_that_cannot_be_read(environ, passwords):
    """Root may read every file, so that what checks the passwords runs as somebody else then."""
    with tempfile.TemporaryDirectory() as folder:
        scripts = Path(shutil.copytree(ROOT / "deploy/compose", f"{folder}/compose", ignore=LEFT_OUT))
        theirs = Path(shutil.copytree(passwords, f"{folder}/passwords"))
        (theirs / "redis_password").chmod(0)
        as_somebody = []
        if os.geteuid() == 0:
            Path(folder).chmod(0o755)
            for path in (theirs, *theirs.iterdir()):
                os.chown(path, NOBODY, NOBODY)
            as_somebody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        result = run(
            [*as_somebody, str(scripts / "secrets.sh")], env=environ | {"SECRETS_DIR": str(theirs)}, cwd=folder
        )

    assert result.returncode == 2
    assert "redis_password cannot be read" in result.stderr and "chmod 644" in result.stderr


def test_secrets_in_a_folder_that_cannot_be_made(environ, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(environ | {"SECRETS_DIR": str(tmp_path / "file" / "secrets")}, "SECRETS_DIR", "cannot be made")


@pytest.mark.slow
def test_a_checkout_that_only_its_owner_may_read(environ, tmp_path):
    """As after `umask 077`: the servers and the app read as users of their own all the same."""
    repository = Path(shutil.copytree(ROOT, tmp_path / "repository", ignore=LEFT_OUT))
    assert run(["chmod", "-R", "go-rwx", str(repository)]).returncode == 0
    image = f"celery-blueprint/app:{environ['PROJECT']}"
    stack = Stack(environ | {"APP_IMAGE": image}, repository)
    try:
        result = stack.up()
        assert result.returncode == 0, result.stdout + result.stderr
    finally:
        stack.remove()
        run(["docker", "rmi", image])


def test_a_broken_queues_file(environ, tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(ROOT, repository, ignore=LEFT_OUT)
    queues = repository / "queues.toml"
    queues.write_text(queues.read_text().replace("[queues.media]", "[queues.media]\ncolour = 'red'"))
    image = f"celery-blueprint/app:{environ['PROJECT']}"
    try:
        assert_refused(environ | {"APP_IMAGE": image}, "queues.toml", "media", "colour", root=repository)
    finally:
        run(["docker", "rmi", image])
