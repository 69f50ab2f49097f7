"""What `docker inspect` says about every container of the stack."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.stack.stack import wait_for

ONCE = {"migrate"}  # does its work and ends
WELL, ENDED = ("running", "healthy", 0), ("exited", "no check", 0)
ROOT_USERS = ("", "0", "root")


@pytest.fixture
def containers(stack):
    found = stack.containers()
    assert {"api", "beat", "postgres", "redis", "worker-media", "migrate"} <= set(found)
    assert ("rabbitmq" in found) == (stack.broker == "rabbitmq")
    return found


def test_everything_runs_and_what_has_a_check_is_healthy(stack):
    def unwell():
        states = {name: state(container) for name, container in stack.containers().items()}
        return {name: state for name, state in states.items() if state != (ENDED if name in ONCE else WELL)}

    with suppress(AssertionError):  # what an earlier test stopped has its first check some seconds after its start
        wait_for("health", lambda: not unwell())
    assert unwell() == {}


def state(container):
    state = container["State"]
    return state["Status"], state.get("Health", {}).get("Status", "no check"), state["ExitCode"]


def test_nothing_was_restarted_on_the_way(containers):
    assert {name: c["RestartCount"] for name, c in containers.items() if c["RestartCount"]} == {}


def test_nobody_is_root_or_may_become_it(containers):
    for name, container in containers.items():
        host = container["HostConfig"]
        assert container["Config"]["User"].partition(":")[0] not in ROOT_USERS, name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name


def test_root_file_systems_are_read_only_and_resources_bounded(containers):
    for name, container in containers.items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"], name
        assert host["LogConfig"]["Config"].get("max-size"), name


def test_ports_are_published_on_loopback_only(containers):
    published = [
        (name, binding["HostIp"])
        for name, container in containers.items()
        for bindings in (container["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    ]
    assert published
    assert {address for _, address in published} == {"127.0.0.1"}


def test_no_secret_is_in_what_docker_shows(stack, containers):
    shown = json.dumps(containers)
    for path in Path(stack.environ["SECRETS_DIR"]).glob("*_password"):
        assert path.read_text().strip() not in shown, path.name


def test_passwords_differ_and_their_folder_is_closed(stack):
    folder = Path(stack.environ["SECRETS_DIR"])
    passwords = [path.read_text().strip() for path in folder.glob("*_password")]
    assert len(set(passwords)) == len(passwords) >= 4
    assert min(map(len, passwords)) >= 20
    assert folder.stat().st_mode & 0o077 == 0


def test_flower_asks_for_a_login(stack):
    url = stack.url("FLOWER_PORT")
    for path in ("/", "/workers", "/api/workers"):
        assert httpx.get(url + path, trust_env=False).status_code == 401, path
    right = ("admin", stack.secret("flower_password"))
    assert httpx.get(url + "/", auth=("admin", "wrong"), trust_env=False).status_code == 401
    assert httpx.get(url + "/", auth=right, trust_env=False, follow_redirects=True).status_code == 200


def test_every_prometheus_target_is_up(stack):
    def all_up():
        answer = httpx.get(stack.url("PROMETHEUS_PORT") + "/api/v1/targets", trust_env=False).json()
        targets = {t["scrapeUrl"]: t["health"] for t in answer["data"]["activeTargets"]}
        return targets if targets and set(targets.values()) == {"up"} else None

    targets = wait_for("every target", all_up)
    assert any("api" in url for url in targets)


def test_the_mail_page_is_for_people(stack):
    page = httpx.get(stack.url("MAIL_PORT"), trust_env=False)
    assert page.status_code == 200
    assert "<h1>Mails</h1>" in page.text
