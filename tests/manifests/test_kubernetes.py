"""What kustomize makes of every overlay and combination, without a cluster."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import kubernetes_validate
import pytest
from kubernetes_validate import utils

from celery_runtime.queues import load_queues
from tests.manifests.kustomize import build, selected

ROOT = Path(__file__).parents[2]
OLDEST = 31  # the oldest Kubernetes that the manifests are for, 1.31
VERSIONS = [
    version for version in map(utils.major_minor, utils.all_versions()) if int(version.removeprefix("1.")) >= OLDEST
]
QUEUES = load_queues(ROOT / "queues.toml")
FOLDERS = {path.parent.name: path.parent for path in (ROOT / "deploy/k8s/overlays").glob("*/kustomization.yaml")} | {
    path.parent.name: path.parent for path in Path(__file__).parent.glob("combinations/*/kustomization.yaml")
}
# Of KEDA, the Prometheus operator: their definitions are in no package. The API server reads them in tests/cluster.
CUSTOM = {"ScaledObject", "TriggerAuthentication", "PodMonitor", "PrometheusRule"}
OUTSIDE = {"broker", "database", "flower", "keda", "redis", "rabbitmq"}  # the Secrets that docs/kubernetes.md names
BUILDS = {}


@pytest.fixture(params=sorted(FOLDERS))
def manifests(request):
    if request.param not in BUILDS:
        BUILDS[request.param] = build(FOLDERS[request.param])
    return BUILDS[request.param]


@pytest.fixture
def local():
    return BUILDS.get("local") or BUILDS.setdefault("local", build(FOLDERS["local"]))


@pytest.fixture(scope="module")
def schemas():
    """The validator's schemas, each read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
        yield


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_valid(schemas, manifests, version):
    for document in manifests.documents:
        if document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, version, strict=True)


def test_no_password_is_in_a_manifest(manifests):
    assert not manifests.of("Secret")
    for config in manifests.of("ConfigMap"):
        for key, value in config["data"].items():
            assert "password" not in key.lower() or value.startswith("/run/secrets/"), key


def test_every_secret_that_is_read_is_one_that_the_documents_name(manifests):
    for name, template in manifests.templates.items():
        volumes = template["spec"]["volumes"]
        read = {source["secret"]["name"] for v in volumes for source in v.get("projected", {}).get("sources", [])}
        read |= {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
        assert read <= OUTSIDE, name


def test_every_pod_passes_pod_security_restricted(manifests):
    for name, template in manifests.templates.items():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        kinds = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        assert all(kinds & volume.keys() for volume in pod["volumes"]), name
    for name, container in manifests.containers.items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_the_namespace_enforces_it(manifests):
    labels = manifests.named("Namespace", "celery-blueprint")["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_no_pod_gets_a_token(manifests):
    accounts = {account["metadata"]["name"]: account for account in manifests.of("ServiceAccount")}
    for name, template in manifests.templates.items():
        assert template["spec"]["automountServiceAccountToken"] is False, name
        assert accounts[template["spec"]["serviceAccountName"]]["automountServiceAccountToken"] is False, name


def test_every_container_asks_and_is_limited_and_every_scratch_folder_is_sized(manifests):
    for name, container in manifests.containers.items():
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name
        assert "cpu" not in container["resources"]["limits"], f"{name}: throttling would eat the grace period"
    for name, template in manifests.templates.items():
        for volume in template["spec"]["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], name


def test_every_container_that_stays_is_probed(manifests):
    for name, template in manifests.templates.items():
        for container in template["spec"]["containers"]:
            assert {"livenessProbe", "readinessProbe"} <= container.keys(), name
            if name.startswith("Deployment/worker-") or name == "Deployment/beat":
                paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
                assert paths == {"liveness": "/livez", "readiness": "/readyz"}, name


def test_every_image_is_pinned(manifests):
    for name, container in manifests.containers.items():
        tag = container["image"].rpartition(":")[2]
        assert re.fullmatch(r"[\w.-]+", tag) and tag != "latest" and tag != container["image"], name


def test_every_selector_finds_its_own_pods_alone(manifests):
    for workload in manifests.of("Deployment", "StatefulSet"):
        selector = workload["spec"]["selector"]
        found = [n for n, t in manifests.templates.items() if selected(selector, t["metadata"]["labels"])]
        assert found == [f"{workload['kind']}/{workload['metadata']['name']}"]
    labels = [template["metadata"]["labels"] for template in manifests.templates.values()]
    for other in manifests.of("Service", "PodDisruptionBudget"):
        selector = other["spec"]["selector"]
        selector = {"matchLabels": selector} if other["kind"] == "Service" else selector
        assert any(selected(selector, each) for each in labels), other["metadata"]["name"]


def test_every_service_leads_to_a_port_that_a_pod_names(manifests):
    for service in manifests.of("Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        (template,) = [t for t in manifests.templates.values() if selected(selector, t["metadata"]["labels"])]
        ports = {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("queue", QUEUES.values(), ids=QUEUES)
def test_every_queue_has_a_worker_with_its_time_budget_and_a_disruption_budget(manifests, queue):
    worker = manifests.named("Deployment", f"worker-{queue.name}")["spec"]
    pod = worker["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["terminationGracePeriodSeconds"] == queue.grace > queue.drain
    assert queue.drain > queue.time_limit or queue.requeue_on_drain
    if any("persistentVolumeClaim" in volume for volume in pod["volumes"]):  # of one node at a time
        assert worker["strategy"] == {"type": "Recreate"}
    else:
        assert worker["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert container["args"] == ["celery-runtime", "worker", queue.name]
    assert container["resources"]["limits"]["memory"] == queue.resources.memory
    assert "replicas" not in worker, "an apply would set back what the scaler decided"
    budget = manifests.named("PodDisruptionBudget", f"worker-{queue.name}")["spec"]
    assert selected(budget["selector"], worker["template"]["metadata"]["labels"])


@pytest.mark.parametrize("queue", QUEUES.values(), ids=QUEUES)
def test_every_queue_is_scaled_within_its_bounds(manifests, queue):
    scalers = manifests.of("ScaledObject", "HorizontalPodAutoscaler")
    if manifests.name == "bare":  # which leaves that to others
        assert not scalers
        return
    (scaler,) = [s["spec"] for s in scalers if s["metadata"]["name"] == f"worker-{queue.name}"]
    assert scaler["scaleTargetRef"]["name"] == f"worker-{queue.name}"
    if "triggers" in scaler:
        assert (scaler["minReplicaCount"], scaler["maxReplicaCount"]) == (queue.scale.min, queue.scale.max)
        assert scaler["fallback"]["behavior"] == "currentReplicasIfHigher" and scaler["fallback"]["replicas"] >= 1
        assert scaler.get("cooldownPeriod") == (queue.drain if queue.scale.min == 0 else None)
    else:
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (max(queue.scale.min, 1), queue.scale.max)


def test_beat_is_one_and_ends_before_the_next_begins(manifests):
    beat = manifests.named("Deployment", "beat")["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


def test_nothing_is_allowed_but_what_is_named(local):
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in local.of("NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    labels = [template["metadata"]["labels"] for template in local.templates.values()]
    for name, policy in policies.items():
        if name != "rabbitmq":  # which this overlay does not have
            assert any(selected(policy["podSelector"], each) for each in labels), name
