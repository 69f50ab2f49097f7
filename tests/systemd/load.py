"""Load on the queue `chaos` of one host, and its account in the ledger."""

from __future__ import annotations

import itertools
import json
import shlex

from tests.chaos.lab import until
from tests.cluster import load as in_cluster
from tests.systemd.host import PREFIX

NAMES = itertools.count(1)
VARIABLES = {
    "CELERY_APP": "workload.app:app",
    "RUN": "chaos",
    "QUEUE": "chaos",
    "PYTHONPATH": "/srv",
    "HEALTH_PORT": "0",
} | {
    f"{variable}_PASSWORD_FILE": f"/etc/celery-blueprint/credentials/{name}_password"
    for variable, name in (("REDIS", "redis"), ("RABBITMQ", "rabbitmq"))
}


class Load(in_cluster.Load):
    """As in a cluster; producers are transient units of the host."""

    def __init__(self, host, ledger):
        super().__init__(host, ledger, host.broker)
        self.host = host

    def publishing(self, task, count, *, rate=0, **kwargs):
        """Start a producer of `count` tasks, at most `rate` a second; returns its unit."""
        order = {"task": task, "count": count, "prefix": f"{next(NAMES)}-", "rate": rate, "kwargs": kwargs}
        order["options"] = {"queue": "chaos"}
        unit = f"producer-{next(NAMES)}.service"
        variables = " ".join(f"--setenv={name}={value}" for name, value in VARIABLES.items())
        self.host.run(
            f"systemd-run --quiet --unit={unit} --property=EnvironmentFile=/etc/celery-blueprint/celery.env {variables}"
            f" --working-directory={PREFIX}/current"
            f" {PREFIX}/current/run workload.produce {shlex.quote(json.dumps(order))}"
        )
        self.producers.append(unit)
        return unit

    def published(self, producer, seconds=240):
        def ended():
            state = self.host.show(producer, "ActiveState")
            assert state != "failed", self.host.ask(f"journalctl --no-pager --unit={producer}")
            return state == "inactive"

        until(ended, f"{producer} to end", seconds, pause=0.2)

    def held(self):
        if self.broker == "rabbitmq":
            said = self.host.run("rabbitmqctl -q list_queues -p celery name messages")
            return sum(int(line.split()[1]) for line in said.splitlines() if line.startswith("chaos\t"))
        return super().held()

    def redis(self, *command):
        words = shlex.join(["redis-cli", "-e", "--user", "celery", *command])
        login = "REDISCLI_AUTH=$(cat /etc/celery-blueprint/credentials/redis_password)"
        return until(lambda: self.host.run(f"{login} {words}"), "redis-cli to answer")

    def close(self):
        for producer in self.producers:
            self.host.ask(f"systemctl stop {producer}")
