"""Down and up again. The last of the files, because it takes the shared stack through both."""

from __future__ import annotations

import pytest

from tests.stack.conftest import rabbitmq_is_slow
from tests.stack.pictures import PHOTO
from tests.stack.stack import Stack, run


def test_up_on_a_running_stack_changes_nothing_and_prints_where_everything_is(stack):
    before = {name: c["Id"] for name, c in stack.containers().items()}

    result = stack.up()

    assert result.returncode == 0, result.stdout + result.stderr
    assert {name: c["Id"] for name, c in stack.containers().items()} == before
    table = result.stdout[result.stdout.index("SERVICE ") :]
    for service, variable in (("api", "API_PORT"), ("flower", "FLOWER_PORT"), ("mail", "MAIL_PORT")):
        (row,) = (line for line in table.splitlines() if line.split()[:1] == [service])
        assert stack.url(variable) in row
        assert "healthy" in row
    assert f"{stack.environ['SECRETS_DIR']}/flower_password" in table
    assert stack.secret("flower_password") not in result.stdout


def test_a_second_project_is_refused_while_the_first_has_the_ports(stack):
    other = Stack({**stack.environ, "PROJECT": f"{stack.project}-b"})
    result = other.up()
    assert result.returncode == 2
    assert f"Port {stack.environ['API_PORT']} on 127.0.0.1 is in use" in result.stderr
    assert other.containers() == {}
    assert other.networks() == []


def test_clean_asks_first(stack):
    before = (set(stack.containers()), set(stack.volumes()))
    result = run([str(stack.scripts / "clean.sh")], env=stack.environ)
    assert result.returncode == 1
    assert "Nothing was removed." in result.stdout
    assert (set(stack.containers()), set(stack.volumes())) == before


@rabbitmq_is_slow
def test_down_leaves_no_container_and_no_network_and_up_finds_the_data(stack):
    accepted = stack.upload(PHOTO).json()
    assert stack.follow(accepted["task"])[-1]["state"] == "SUCCESS"
    volumes = set(stack.volumes())

    assert stack.down().returncode == 0
    assert stack.containers() == {}
    assert stack.networks() == []
    assert set(stack.volumes()) == volumes

    again = stack.up()
    assert again.returncode == 0, again.stdout + again.stderr
    stack.connect()
    assert stack.api.get(accepted["image"]).json()["state"] == "ready"
    assert stack.api.get(f"{accepted['image']}/thumbnails/64").status_code == 200
    assert stack.api.get(accepted["task"]).json()["state"] == "SUCCESS"


@pytest.mark.slow
def test_a_killed_stack_comes_up_again(stack):
    ids = [c["Id"] for c in stack.containers().values() if c["State"]["Running"]]
    assert run(["docker", "kill", *ids]).returncode == 0
    result = stack.up()
    assert result.returncode == 0, result.stdout + result.stderr
    stack.connect()
    assert stack.api.get("/healthz").status_code == 200


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_clean_removes_data_and_images_and_the_next_up_starts_from_nothing(stack):
    before = stack.upload(PHOTO).json()["image"]
    built = ["docker", "images", "--quiet", "--filter", "label=celery-blueprint.built=1"]
    assert run(built).stdout

    result = run([str(stack.scripts / "clean.sh")], env={**stack.environ, "YES": "1"})

    assert result.returncode == 0, result.stdout + result.stderr
    assert (stack.containers(), stack.networks(), stack.volumes()) == ({}, [], [])
    assert run(built).stdout == ""

    again = stack.up()
    assert again.returncode == 0, again.stdout + again.stderr
    stack.connect()
    assert stack.api.get(before).status_code == 404
