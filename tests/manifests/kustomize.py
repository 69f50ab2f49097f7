"""Builds of kustomizations, and the questions that tests ask of them."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml


def build(folder):
    """The documents that `kubectl kustomize` makes of a folder; skips the test where there is no kubectl."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed: https://kubernetes.io/docs/tasks/tools/")
    result = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return Build(folder.name, list(yaml.load_all(result.stdout, yaml.CSafeLoader)))


class Build:
    """What would be applied."""

    def __init__(self, name, documents):
        self.name, self.documents = name, documents

    def of(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def named(self, kind, name):
        """The one document of that name. Raises AssertionError when there is none."""
        found = [document for document in self.of(kind) if document["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind} {name}"
        return found[0]

    @property
    def templates(self):
        """Pod templates by kind and name."""
        return {
            f"{workload['kind']}/{workload['metadata']['name']}": workload["spec"]["template"]
            for workload in self.of("Deployment", "StatefulSet", "Job")
        }

    @property
    def containers(self):
        """Each container, those of initialization too, by the name of its pod and its own."""
        return {
            f"{name}/{container['name']}": container
            for name, template in self.templates.items()
            for container in [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
        }


def selected(selector, labels):
    """Whether a label selector, as Kubernetes reads it, takes an object with these labels."""
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", [])
    )
