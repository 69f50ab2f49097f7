"""What Compose itself makes of every combination of our files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from celery_runtime.queues import load_queues

ROOT = Path(__file__).parents[2]
PUBLISHED = {"api": 8000, "flower": 5555, "prometheus": 9090, "alertmanager": 9093, "mail": 8025}
COMBINATIONS = [(broker, source) for broker in ("redis", "rabbitmq") for source in ("registry", "offline")]


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def combination(request):
    return request.param


@pytest.fixture(scope="module")
def stack(combination, tmp_path_factory):
    """The stack as Compose reads it, with nothing set but the broker."""
    broker, source = combination
    return compose_config(source, BROKER=broker, SECRETS_DIR=str(tmp_path_factory.mktemp("secrets")))


def compose_config(source, **variables):
    script = f". deploy/compose/stack.sh && compose {source} config --format json"
    # A developer's own .env must not decide what is tested: the documented defaults stand in front of it.
    defaults = dict(line.split("=", 1) for line in env_example() if "=" in line and not line.startswith("#"))
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **defaults, **variables}
    result = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_service_is_hardened(stack):
    for name, service in stack["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service and "cap_add" not in service, name


def test_every_service_is_bounded_and_restarted(stack):
    for name, service in stack["services"].items():
        assert int(service["mem_limit"]) > 0 and float(service["cpus"]) > 0, name
        assert service["logging"]["options"] == {"max-file": "3", "max-size": "10m"}, name
        assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped"), name


def test_every_service_that_stays_has_a_health_check(stack):
    for name, service in stack["services"].items():
        if name != "migrate":
            assert service["healthcheck"]["test"][0] == "CMD", f"{name}: a shell per check costs more than the check"


def test_no_command_goes_through_a_shell(stack):
    for name, service in stack["services"].items():
        command = service.get("command") or []
        assert not {"sh", "bash", "/bin/sh", "-c"} & set(command) or name == "postgres", name


def test_ports_are_published_on_loopback_alone(stack, combination):
    broker, source = combination
    expected = dict(PUBLISHED)
    if source == "registry":
        expected["grafana"] = 3000
    if broker == "rabbitmq":
        expected["rabbitmq"] = 15672
    ports = {name: port for name, service in stack["services"].items() for port in service.get("ports", [])}

    assert {name: port["target"] for name, port in ports.items()} == expected
    assert {port["host_ip"] for port in ports.values()} == {"127.0.0.1"}
    assert {name: int(port["published"]) for name, port in ports.items()} == expected


def test_backups_go_to_a_volume_of_their_own(stack):
    worker = stack["services"]["worker-backup"]
    mounts = {mount["target"]: mount["source"] for mount in worker["volumes"]}
    assert mounts == {worker["environment"]["BACKUP_DIR"]: "backups"}
    assert "backups" in stack["volumes"]


def test_every_queue_has_a_worker_with_its_time_budget(stack):
    for name, queue in load_queues(ROOT / "queues.toml").items():
        worker = stack["services"][f"worker-{name}"]
        assert duration(worker["stop_grace_period"]) == queue.grace > queue.drain
        assert queue.drain > queue.time_limit or queue.requeue_on_drain


def test_the_broker_variable_reaches_every_service_that_talks_to_it(stack, combination):
    broker, _ = combination
    talkers = [
        name
        for name in stack["services"]
        if name in {"api", "beat", "flower", "exporter", "collector"} or "worker-" in name
    ]

    assert len(talkers) == 5 + len(load_queues(ROOT / "queues.toml"))
    for name in talkers:
        assert stack["services"][name]["environment"]["BROKER"] == broker, name
    assert ("rabbitmq" in stack["services"]) is (broker == "rabbitmq")


def test_no_password_is_in_a_command_or_an_environment(stack):
    for name, service in stack["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            assert "PASSWORD" not in variable or str(value).startswith("/run/secrets/"), f"{name}: {variable}"
    for secret in stack["secrets"].values():
        assert set(secret) == {"name", "file"}


def test_an_offline_host_pulls_nothing(stack, combination):
    _, source = combination
    if source == "registry":
        pytest.skip("official images are pulled here")
    built = {service["image"] for service in stack["services"].values() if "build" in service}

    assert {service["image"] for service in stack["services"].values()} == built


def test_each_port_is_one_variable_away(tmp_path):
    stack = compose_config("registry", SECRETS_DIR=str(tmp_path), API_PORT="18000", PROJECT="other")

    assert stack["services"]["api"]["ports"][0]["published"] == "18000"
    assert stack["name"] == "other"


@pytest.mark.parametrize(("url", "lock"), [("", "app"), ("http://collector:4318", "tracing")])
def test_the_image_has_what_tracing_takes_where_it_is_switched_on(tmp_path, url, lock):
    stack = compose_config("offline", SECRETS_DIR=str(tmp_path), TRACING_URL=url)
    assert stack["services"]["migrate"]["build"]["args"]["REQUIREMENTS"] == f"requirements/{lock}.txt"
    assert stack["services"]["worker-media"]["environment"]["TRACING_URL"] == url


def test_every_variable_of_the_documented_settings_is_one_that_something_reads():
    documented = [
        line.partition("=")[0].lstrip("#") for line in env_example() if "=" in line and not line.startswith("# ")
    ]
    readers = "".join(path.read_text() for path in (ROOT / "deploy/compose").glob("*.[ys]*"))

    assert len(documented) > 8
    for name in documented:
        assert f"${{{name}" in readers or f"setting {name}" in readers, name


def env_example():
    return (ROOT / "deploy/compose/.env.example").read_text().splitlines()


def duration(text):
    """Seconds of a Compose duration such as 5m30s."""
    minutes, _, seconds = text.rpartition("m")
    return int(minutes or 0) * 60 + int(seconds.rstrip("s") or 0)
