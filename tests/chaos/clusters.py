"""Brokers of several servers: Redis behind Sentinel, three RabbitMQ nodes. A row that uses one makes and ends it."""

from __future__ import annotations

import json

from tests.chaos.brokers import RabbitMQ, Redis
from tests.chaos.lab import remove, until

DOWN_AFTER = 3000  # milliseconds until Sentinel takes a silent master for dead
SENTINEL = """port 26379
protected-mode no
dir /data
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel monitor main redis-a 6379 1
sentinel auth-user main chaos
sentinel auth-pass main {password}
sentinel down-after-milliseconds main {down_after}
sentinel failover-timeout main 15000
"""


class RedisPair(Redis):
    """A master and a replica, watched by one Sentinel; `container` is the master of the moment."""

    def __init__(self, lab):
        self.password = lab.secret("redis_password")
        # A master without a replica refuses writes: without this it went on for the 10 s until Sentinel had made it a
        # replica, and all 376 publishes of that time were lost.
        safe = ["--masteruser", "chaos", "--masterauth", self.password]
        safe += ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"]
        replica = ["--replicaof", "redis-a", "6379"]
        self.servers = {
            name: self.server(lab, name, "--replica-announce-ip", name, *safe, *options)
            for name, options in (("redis-a", []), ("redis-b", replica))
        }
        self.container = self.servers["redis-a"]
        self.wait_until_up()
        config = SENTINEL.format(password=self.password, down_after=DOWN_AFTER)
        config = f"printf '%s' '{config}' >/data/sentinel.conf && exec redis-server /data/sentinel.conf --sentinel"
        self.sentinel = lab.run("redis", ["sh", "-c", config], "sentinel", aliases=["sentinel"], user="redis")
        until(lambda: "num-slaves\n1\n" in self._ask("master", "main"), "Sentinel to know both servers")

    def variables(self):
        return {"REDIS_URL": "sentinel://celery@sentinel:26379/0", "SENTINEL_MASTER": "main"}

    def switch(self):
        """Let the replica take over while the master is well."""
        self._ask("failover", "main")
        self._follow()

    def kill_master(self):
        killed = self.container
        killed.kill("SIGKILL")
        self._follow()
        killed.start()

    def _follow(self):
        """Wait until the other server is the master, and a replica has all of it."""
        old = self.container
        self.container = until(lambda: (new := self._master()) is not old and new, "another master")
        until(lambda: "role:master" in self.cli("info", "replication"), "the new master to know it")

    def wait_until_replicated(self):
        until(lambda: "state=online" in self.cli("info", "replication"), "a replica")

    def _master(self):
        """The server that Sentinel calls master; None while it has no answer."""
        return self.servers.get(self._ask("get-master-addr-by-name", "main").split("\n")[0])

    def _ask(self, *words):
        code, output = self.sentinel.exec_run(["redis-cli", "-p", "26379", "sentinel", *words])
        return output.decode() if code == 0 else ""

    def close(self):
        for container in (*self.servers.values(), self.sentinel):
            remove(container)


class RabbitMQTrio(RabbitMQ):
    """Three nodes; `container` is one that runs. port: of 127.0.0.1, of the first."""

    def __init__(self, lab):
        self.nodes = {}
        names = [f"rabbitmq-{number}" for number in (1, 2, 3)]
        cluster = "cluster_formation.peer_discovery_backend = classic_config\n" + "".join(
            f"cluster_formation.classic_config.nodes.{number} = rabbit@{name}\n" for number, name in enumerate(names, 1)
        )
        files = [*self.files(lab), (lab.file("cluster.conf", cluster), "/etc/rabbitmq/conf.d/30-cluster.conf")]
        cookie = f"-setcookie {lab.secret('rabbitmq_password')}"
        env = {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": cookie, "RABBITMQ_CTL_ERL_ARGS": cookie}
        for name in names:
            self.nodes[name] = lab.run(
                "rabbitmq", None, name, files=files, env=env, user="rabbitmq", hostname=name, aliases=[name], port=5672
            )
        self.container = self.nodes[names[0]]
        self.container.reload()
        self.port = int(self.container.ports["5672/tcp"][0]["HostPort"])
        until(self._is_complete, "three nodes in one cluster", 180, pause=2)

    def variables(self):
        return {"RABBITMQ_NODES": ",".join(self.nodes)}

    def _is_complete(self):
        code, output = self.container.exec_run(["rabbitmqctl", "-q", "--formatter=json", "cluster_status"])
        return code == 0 and len(json.loads(output)["running_nodes"]) == len(self.nodes)

    def stop_leader_of(self, queue):
        """Kill the node that leads the quorum queue; the rest of the row looks through another."""
        listing = self.command("rabbitmqctl", "-q", "--formatter=json", "list_queues", "-p", "celery", "name", "leader")
        leader = next(found["leader"] for found in json.loads(listing) if found["name"] == queue).split("@")[1]
        self.nodes[leader].kill("SIGKILL")
        self.container = next(container for name, container in self.nodes.items() if name != leader)

    def close(self):
        for container in self.nodes.values():
            remove(container)
