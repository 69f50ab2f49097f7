"""The cluster that KUBECONFIG names, through kubectl."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager

NAMESPACE = "celery-blueprint"


class KubectlError(Exception):
    """kubectl ended with an error; the text is what it said."""


class Cluster:
    """Asks and changes objects of the stack's namespace."""

    def kubectl(self, *words, given=None, namespace=NAMESPACE):
        """Run kubectl; returns what it printed. Raises KubectlError."""
        command = ["kubectl", f"--namespace={namespace}", *words]
        result = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if result.returncode:
            raise KubectlError(f"{' '.join(words)}: {result.stderr.strip()}")
        return result.stdout

    def get(self, *words, namespace=NAMESPACE):
        return json.loads(self.kubectl("get", *words, "--output=json", namespace=namespace))

    def apply(self, document):
        """Create or change one object, given as a dictionary."""
        self.kubectl("apply", "--filename=-", given=json.dumps(document))

    def pods(self, labels, *, ready=False):
        """Pods that nobody deletes, oldest first; with `ready` those alone that are."""
        pods = self.get("pods", f"--selector={labels}", "--sort-by=.metadata.creationTimestamp")["items"]
        pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return [pod for pod in pods if not ready or is_ready(pod)]

    def names(self, labels, *, ready=False):
        return [pod["metadata"]["name"] for pod in self.pods(labels, ready=ready)]

    def replicas(self, deployment):
        """The replicas that a Deployment should have."""
        return int(self.kubectl("get", "deployment", deployment, "--output=jsonpath={.spec.replicas}"))

    def restarts(self):
        """How often each container was started again, by pod."""
        return {
            pod["metadata"]["name"]: sum(each["restartCount"] for each in pod["status"].get("containerStatuses", []))
            for pod in self.get("pods")["items"]
        }

    def rolled_out(self, workload, seconds=180):
        self.kubectl("rollout", "status", workload, f"--timeout={seconds}s")

    def run(self, pod, *command):
        """Run a command in a pod or in the first one of `deployment/NAME`; returns its output. Raises KubectlError."""
        return self.kubectl("exec", pod, "--", *command)

    @contextmanager
    def forwarded(self, target, port):
        """A port of 127.0.0.1 that leads to one of the cluster's services or pods."""
        command = ["kubectl", f"--namespace={NAMESPACE}", "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield int(re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
            finally:
                process.terminate()

    def secret(self, name, key):
        words = ("get", "secret", name, f"--output=go-template={{{{index .data {json.dumps(key)} | base64decode}}}}")
        return self.kubectl(*words)


def is_ready(pod):
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"
