"""queues.toml is the only place where a queue is written down: what `make render` and `make queue` make of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kombu.transport.redis import Channel

from celery_runtime.queues import load_queues
from celery_runtime.redis_transport import keys
from tests.manifests.kustomize import build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path):
    """A copy of what is rendered and what it is rendered from."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", ".env"))
    shutil.copytree(ROOT / "grafana", tmp_path / "grafana")
    shutil.copy(ROOT / "queues.toml", tmp_path)
    return tmp_path


def render(repository, *options):
    command = [sys.executable, "-m", "deploy.render", "--root", str(repository), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def workers(repository):
    return yaml.safe_load((repository / "deploy/compose/workers.yaml").read_text())["services"]


def test_what_is_committed_is_what_would_be_rendered():
    result = render(ROOT, "--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_change_in_queues_toml_makes_the_rendered_file_stale(repository):
    text = (repository / "queues.toml").read_text()
    (repository / "queues.toml").write_text(text.replace("time_limit = 300", "time_limit = 600"))

    result = render(repository, "--check")

    assert result.returncode == 1
    assert "workers.yaml is stale" in result.stderr and "stop_grace_period: 630s" in result.stdout


def test_a_worker_stops_within_its_queues_time_budget(repository):
    render(repository)

    for name, queue in load_queues(repository / "queues.toml").items():
        worker = workers(repository)[f"worker-{name}"]
        assert worker["stop_grace_period"] == f"{queue.grace}s"
        assert worker["command"] == ["celery-runtime", "worker", name]
        assert worker["mem_limit"] == f"{queue.resources.memory_mib}m"


def test_a_new_queue_is_one_block_and_one_worker(repository):
    result = render(repository, "--add", "reports")

    assert result.returncode == 0, result.stderr
    assert "added [queues.reports]" in result.stdout
    assert (repository / "queues.toml").read_text().endswith("[queues.reports]\nconcurrency = 2\ntime_limit = 60\n")
    assert "worker-reports" in workers(repository)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("media", "exists already"),
        ("Reports", "not a valid name"),
        ("", "not a valid name"),
        ("a b", "not a valid name"),
    ],
)
def test_a_name_that_cannot_be_added_changes_nothing(repository, name, words):
    before = (repository / "queues.toml").read_text()

    result = render(repository, "--add", name)

    assert result.returncode == 2
    assert words in result.stderr and "Traceback" not in result.stderr
    assert (repository / "queues.toml").read_text() == before


def test_a_broken_file_is_told_without_a_traceback_and_renders_nothing(repository):
    before = (repository / "deploy/compose/workers.yaml").read_text()
    (repository / "queues.toml").write_text("[queues.media]\ntime_limit = 300\ndrain = 120\n")

    result = render(repository)

    assert result.returncode == 2
    assert "drain = 120 is not above its time_limit = 300" in result.stderr and "Traceback" not in result.stderr
    assert (repository / "deploy/compose/workers.yaml").read_text() == before


@pytest.mark.parametrize(
    ("overlay", "scaler"),
    [("local", "ScaledObject"), ("rabbitmq", "ScaledObject"), ("no-keda", "HorizontalPodAutoscaler")],
)
def test_a_new_queue_scales_without_another_file_touched(repository, overlay, scaler):
    assert render(repository, "--add", "reports").returncode == 0
    manifests = build(repository / "deploy/k8s/overlays" / overlay)

    for kind in ("Deployment", "PodDisruptionBudget", scaler):
        manifests.named(kind, "worker-reports")


def test_a_queue_that_is_gone_leaves_no_file(repository):
    render(repository, "--add", "reports")
    shutil.copy(ROOT / "queues.toml", repository)

    assert render(repository, "--check").returncode == 1
    render(repository)

    assert not list((repository / "deploy").rglob("reports.*"))
    assert render(repository, "--check").returncode == 0


def test_alerts_are_those_of_prometheus(repository):
    rules = repository / "deploy/prometheus/rules"
    (rules / "more.yaml").write_text("groups:\n  - name: more\n    rules: []\n")
    render(repository)
    alerts = build(repository / "deploy/k8s/overlays/production").named("PrometheusRule", "celery-blueprint")

    assert [group["name"] for group in alerts["spec"]["groups"]] == sorted(path.stem for path in rules.glob("*.yaml"))
    assert {"more", "queues", "recording"} <= {group["name"] for group in alerts["spec"]["groups"]}


def test_keda_counts_every_place_where_a_message_is_on_redis():
    manifests = build(ROOT / "deploy/k8s/overlays/local")
    for name in load_queues(ROOT / "queues.toml"):
        scaler = manifests.named("ScaledObject", f"worker-{name}")["spec"]
        read = {trigger["name"]: trigger["metadata"]["listName"] for trigger in scaler["triggers"]}
        lists = {f"{name}{Channel.sep}{step}" if step else name for step in Channel.priority_steps}

        assert set(read.values()) == lists | {keys.claiming(name), keys.unacked(name)}
        assert scaler["advanced"]["scalingModifiers"]["formula"].split(" + ") == list(read)


def test_keda_counts_what_runs_on_rabbitmq():
    manifests = build(ROOT / "deploy/k8s/overlays/rabbitmq")
    for name, queue in load_queues(ROOT / "queues.toml").items():
        (trigger,) = manifests.named("ScaledObject", f"worker-{name}")["spec"]["triggers"]
        assert trigger["metadata"] == {
            "protocol": "http",
            "queueName": name,
            "mode": "QueueLength",
            "value": str(queue.scale.tasks_per_replica),
            "excludeUnacknowledged": "false",
        }
