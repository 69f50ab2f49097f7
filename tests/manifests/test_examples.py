"""An app of examples/ on Compose and Kubernetes: the stack's own files, and what that app says beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from kubernetes_validate import validate

from celery_runtime.queues import load_queues
from tests.manifests.kustomize import build
from tests.manifests.test_compose import ROOT, compose_config, duration

EXAMPLE = ROOT / "examples/django"
QUEUES = load_queues(EXAMPLE / "queues.toml")
APP = {"DJANGO_SECRET_KEY_FILE": "/run/secrets/django_secret_key", "CELERY_APP": "conf.celery:app"}
OF_THE_STACK = {
    "postgres", "redis", "migrate", "api", "beat", "flower", "collector", "exporter", "prometheus", "alertmanager",
}  # fmt: skip


@pytest.fixture(params=["redis", "rabbitmq"])
def stack(request, tmp_path):
    return compose_config("offline", BROKER=request.param, SECRETS_DIR=str(tmp_path), APP="examples/django", PROJECT="")


@pytest.fixture(scope="module")
def manifests():
    return build(EXAMPLE / "k8s")


def test_the_stack_of_an_example_is_its_own_on_the_stacks_files(stack):
    workers = {f"worker-{name}" for name in QUEUES}
    assert set(stack["services"]) - {"rabbitmq", "grafana"} == OF_THE_STACK | workers
    assert stack["name"] == "celery-blueprint-django"
    for name in ("migrate", "api", "beat", "flower", "collector", *workers):
        service = stack["services"][name]
        assert service["image"] == "celery-blueprint/django:dev", name
        assert service["environment"].items() >= APP.items(), name
        assert not {"AI_BASE_URL", "DATABASE_URL", "FAULTS"} & service["environment"].keys(), name
        assert "django_secret_key" in {secret["source"] for secret in service["secrets"]}, name
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name


def test_every_queue_of_an_example_has_a_worker_with_its_time_budget(stack):
    for name, queue in QUEUES.items():
        worker = stack["services"][f"worker-{name}"]
        assert duration(worker["stop_grace_period"]) == queue.grace


def test_a_queue_of_an_example_that_has_another_name_has_its_files_alone(tmp_path):
    for folder in ("deploy", "grafana", "examples/django"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("secrets", ".env"))
    shutil.copy(ROOT / "queues.toml", tmp_path)
    example = tmp_path / "examples/django"
    queues = example / "queues.toml"
    queues.write_text(queues.read_text().replace("[queues.orders]", "[queues.mail]"))

    command = [sys.executable, "-m", "deploy.render", "--root", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    assert {path.name for path in (example / "k8s/queues").iterdir()} == {
        "default.yaml",
        "mail.yaml",
        "kustomization.yaml",
    }
    for name in ("workers.yaml", "scrape/workers.yaml"):
        assert "worker-mail" in (example / "deploy" / name).read_text()
    assert "worker-mail" not in (tmp_path / "deploy/compose/workers.yaml").read_text()


def test_prometheus_looks_for_an_examples_workers_and_not_for_the_reference_apps(stack):
    mounts = {mount["target"]: mount["source"] for mount in stack["services"]["prometheus"]["volumes"]}
    assert mounts["/etc/prometheus/scrape"] == str(EXAMPLE / "deploy/scrape")


def test_only_set_up_reads_the_password_of_admin(stack):
    read = {
        name
        for name, service in stack["services"].items()
        for secret in service.get("secrets", [])
        if secret["source"] == "django_admin_password"
    }
    assert read == {"migrate"}


def test_an_app_that_is_none_is_refused(monkeypatch):
    with pytest.raises(AssertionError, match="APP = 'examples/rails' is not an app of this repository"):
        compose_config("offline", APP="examples/rails")


def test_kubernetes_runs_an_examples_queues_in_its_image(manifests):
    deployed = {document["metadata"]["name"] for document in manifests.of("Deployment")}
    assert {name for name in deployed if name.startswith("worker-")} == {f"worker-{name}" for name in QUEUES}
    for name, container in manifests.containers.items():
        if "/exporter" not in name:
            assert container["image"].startswith("celery-blueprint/django:"), name
    for name, template in manifests.templates.items():
        volumes = template["spec"]["volumes"]
        read = {source["secret"]["name"] for v in volumes for source in v.get("projected", {}).get("sources", [])}
        assert ("django" in read) is ("exporter" not in name), name


def test_kubernetes_takes_every_document_of_an_example(manifests):
    for document in manifests.documents:
        validate(document, "1.31", strict=True)
