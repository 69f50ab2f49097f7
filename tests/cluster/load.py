"""Load on the queue `chaos`, and its account in the ledger: what the chaos rows have, in a cluster."""

from __future__ import annotations

import copy
import itertools
import json
import time
from pathlib import Path

import pytest
import yaml
from redis import Redis

from tests import brokers
from tests.chaos.lab import until
from tests.chaos.ledger import Account, Ledger

CLIENT = yaml.safe_load((Path(__file__).parent / "overlay/client.yaml").read_text())
NAMES = itertools.count(1)
QUEUE = "chaos"
COUNTS_OLD = {"redis": 1, "rabbitmq": 8}  # seconds; RabbitMQ counts every five
WORKERS = f"celery-blueprint/queue={QUEUE}"

# What the broker has no part in is tried with one; what it has a part in, with the second one where there is time.
on_redis = pytest.mark.parametrize("stack", ["redis"], indirect=True, scope="session")
rabbitmq_is_slow = brokers.rabbitmq_is_slow("stack")


class ForwardedLedger(Ledger):
    """The ledger inside the cluster."""

    def __init__(self, port):
        self.redis = Redis(host="127.0.0.1", port=port, decode_responses=True)
        until(self._answers, "the ledger to answer")


class Load:
    """What one test publishes, and what became of it."""

    def __init__(self, cluster, ledger, broker):
        self.cluster, self.ledger, self.broker = cluster, ledger, broker
        ledger.redis.flushall()
        self.account = Account(ledger, QUEUE)
        self.producers, self.pods = [], []

    def publishing(self, task, count, *, rate=0, env=(), **kwargs):
        """Start a producer of `count` tasks, at most `rate` a second; returns the name of its pod."""
        order = {"task": task, "count": count, "prefix": f"{next(NAMES)}-", "rate": rate, "kwargs": kwargs}
        order["options"] = {"queue": QUEUE}
        name = self.pod("python", "-m", "workload.produce", json.dumps(order), env=dict(env))
        self.producers.append(name)
        return name

    def pod(self, *command, env=None):
        """Start a pod of a service that uses the stack; returns its name."""
        name = f"client-{next(NAMES)}"
        self.cluster.apply(self._pod(name, list(command), env or {}))
        self.pods.append(name)
        return name

    def publish(self, task, count, **options):
        """Publish to the end."""
        self.published(self.publishing(task, count, **options))

    def published(self, producer, seconds=240):
        def ended():
            phase = self.cluster.kubectl("get", "pod", producer, "--output=jsonpath={.status.phase}")
            assert phase != "Failed", self.cluster.kubectl("logs", producer)
            return phase == "Succeeded"

        until(ended, f"{producer} to end", seconds, pause=0.5)

    def until(self, condition, what, seconds=90.0):
        return until(lambda: condition(self.account.read()), what, seconds)

    def settle(self, seconds=120):
        """Wait until every producer has ended, and the broker has held nothing for as long as its counts may be old."""
        for producer in self.producers:
            self.published(producer)
        deadline, busy = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() - busy < COUNTS_OLD[self.broker]:
            if held := self.held():
                busy = time.monotonic()
            assert busy < deadline, f"the broker still holds {held} messages"
            time.sleep(0.5)

    def held(self):
        """What waits and what runs, as the broker has it."""
        if self.broker == "rabbitmq":
            said = self.cluster.run(
                "rabbitmq-0", "rabbitmqctl", "-q", "list_queues", "-p", "celery", "name", "messages"
            )
            return sum(int(line.split()[1]) for line in said.splitlines() if line.startswith(f"{QUEUE}\t"))
        script = "return redis.call('llen', KEYS[1]) + redis.call('llen', KEYS[2]) + redis.call('hlen', KEYS[3])"
        keys = [QUEUE, f"claiming:{QUEUE}", f"unacked:{QUEUE}"]
        return int(self.redis("eval", script, "3", *keys))

    def redis(self, *command):
        password = self.cluster.secret("broker", "redis_password")
        words = ("env", f"REDISCLI_AUTH={password}", "redis-cli", "-e", "--user", "celery", *command)
        return self.cluster.run("redis-0", *words)

    def judge(self, *, lost=0, doubled=0, rerun=None):
        """Expect at most these numbers; returns a line with what was found."""
        account = self.account.read()
        found = f"accepted {len(account.accepted)}, lost {len(account.lost())}, doubled {account.doubled}"
        print(f"{found}, started again {account.rerun}")
        assert account.accepted, "nothing was accepted"
        assert len(account.lost()) <= lost, found
        assert account.doubled <= doubled, found
        assert rerun is None or account.rerun <= rerun, f"started again {account.rerun}"

    def close(self):
        for pod in self.pods:
            self.cluster.kubectl("delete", "pod", pod, "--ignore-not-found", "--wait=false", "--grace-period=1")

    def _pod(self, name, command, env):
        """What the pod reads and mounts is what a worker does."""
        worker = self.cluster.get("deployment", "worker-chaos")["spec"]["template"]["spec"]
        pod = copy.deepcopy(CLIENT)
        pod["metadata"]["name"] = name
        pod["spec"]["volumes"] = worker["volumes"]
        (container,), (source,) = pod["spec"]["containers"], worker["containers"]
        container |= {key: source[key] for key in ("image", "envFrom", "volumeMounts")}
        container["env"] = [each for each in source["env"] if each["name"] not in env]
        container["env"] += [{"name": key, "value": value} for key, value in env.items()]
        container["args"] = command
        return pod
