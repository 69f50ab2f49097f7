"""The laboratory: a network, servers, workers and producers in containers of the images that `make up` uses.

Its containers carry a label with the id of this process, so that the next run removes what a killed one left behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import psutil
from docker.errors import APIError, NotFound

from tests.images import ROOT, image_names
from tests.ports import free_port

LABEL = "celery-blueprint.chaos"
WORKLOAD = Path(__file__).parent / "workload"
CONFIG = ROOT / "deploy/compose/config"


class Lab:
    """Starts containers in two networks: one that faults cut, and one to the ledger that nothing touches."""

    def __init__(self):
        self.docker = docker.from_env(timeout=180)
        self._remove_leftovers()
        names = image_names()
        # By id: a build elsewhere on this machine must not change the image in the middle of a run.
        self.images = {name: self.docker.images.get(names[name]).id for name in ("redis", "rabbitmq", "migrate")}
        self.images["app"] = self.images.pop("migrate")
        self.labels = {LABEL: str(os.getpid())}
        self.prefix = f"chaos-{os.getpid()}"
        self.network = self._network("broker")
        self.quiet_network = self._network("ledger")
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.folder.chmod(0o755)
        self.secrets = self._secrets()
        self.stopped = False

    def secret(self, name):
        return (self.secrets / name).read_text().strip()

    def stop(self):
        """Remove the containers, and start no more."""
        self.stopped = True
        self._remove_containers(self.labels[LABEL])

    def close(self):
        """Remove everything that this laboratory made."""
        self._remove(self.labels[LABEL])
        shutil.rmtree(self.folder)
        self.docker.close()

    def file(self, name, text):
        """Write a file that containers can read; returns its path."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        path.parent.chmod(0o755)
        return path

    def run(self, image, command, name, *, files=(), env=(), aliases=(), port=None, quiet=None, **options):
        """Start a container in the network of the faults; `quiet` is its name in the ledger's network, if it is there.

        port: of the container, published on a port of 127.0.0.1 that stays the same when the container restarts.
        """
        if self.stopped:
            raise RuntimeError("the laboratory is closed")
        container = self.docker.containers.create(
            self.images[image],
            command,
            name=f"{self.prefix}-{name}",
            labels=self.labels,
            volumes=[f"{source}:{target}:ro" for source, target in files],
            environment=dict(env),
            ports={f"{port}/tcp": ("127.0.0.1", free_port())} if port else None,
            network=self.network.name,
            networking_config={self.network.name: self.docker.api.create_endpoint_config(aliases=list(aliases))},
            log_config={"type": "json-file", "config": {"max-size": "50m"}},
            **options,
        )
        if quiet:
            self.quiet_network.connect(container, aliases=[quiet])
        container.start()
        return container

    def _secrets(self):
        """The stack's own secrets, and a user of Redis who may do what rows do to it."""
        folder = self.folder / "secrets"
        environment = os.environ | {"SECRETS_DIR": str(folder), "PROJECT": self.prefix}
        subprocess.run([ROOT / "deploy/compose/secrets.sh"], env=environment, check=True, stdout=subprocess.DEVNULL)
        folder.chmod(0o755)
        password = (folder / "redis_password").read_text()
        with (folder / "redis_users").open("a") as users:
            users.write(f"user chaos on >{password} ~* &* +@all\n")
        return folder

    def _network(self, name):
        return self.docker.networks.create(f"{self.prefix}-{name}", driver="bridge", labels=self.labels)

    def _remove_leftovers(self):
        owned = self.docker.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
        owned += self.docker.networks.list(filters={"label": LABEL})
        for owner in {_owner(thing) for thing in owned}:
            if not psutil.pid_exists(int(owner)):
                self._remove(owner)

    def _remove(self, owner):
        self._remove_containers(owner)
        for network in self.docker.networks.list(filters={"label": f"{LABEL}={owner}"}):
            network.remove()

    def _remove_containers(self, owner):
        for container in self.docker.containers.list(
            all=True, filters={"label": f"{LABEL}={owner}"}, ignore_removed=True
        ):
            remove(container)


def remove(container):
    """Remove a container whatever its state."""
    try:
        container.remove(force=True, v=True)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != 409:  # its removal is already in progress
            raise


def until(condition, what, seconds=60.0, pause=0.1):
    """Wait until `condition()` is true and return it. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)
    return answer


def _owner(thing):
    labels = thing.labels if hasattr(thing, "labels") else thing.attrs["Labels"]
    return labels[LABEL]
