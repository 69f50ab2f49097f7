"""The brokers with the Compose stack's configuration, and what can be done to them."""

from __future__ import annotations

import json

from tests.chaos.lab import CONFIG, until

# Milliseconds; what a quorum queue tells of its length is as old as this, 5 s by default.
ADVANCED = "[{rabbit, [{quorum_tick_interval, 500}]}].\n"


class Broker:
    """A server in a container; its faults return when they have happened."""

    def __init__(self, container):
        self.container = container
        self.wait_until_up()

    def variables(self):
        """What a process needs to know of it, beside its address."""
        return {}

    def stop(self):
        self.container.stop(timeout=30)

    def kill(self):
        self.container.kill("SIGKILL")
        self.container.wait()

    def start(self):
        self.container.start()
        self.wait_until_up()

    def restart(self):
        self.stop()
        self.start()

    def pause(self):
        self.container.pause()

    def resume(self):
        self.container.unpause()

    def command(self, *words):
        """Run a command in the container; returns its output. Raises RuntimeError when it fails."""
        code, output = self.container.exec_run(list(words))
        if code:
            raise RuntimeError(f"{' '.join(words[:4])} ...: exit code {code}: {output.decode()}")
        return output.decode()

    def answer(self, *words):
        """The same of a command that always prints something, and may be given twice.

        The Engine loses the output of a short command now and then (moby#27289, docker-py#2042).
        """
        return until(lambda: self.command(*words), f"{words[0]} to answer")

    def heal(self):
        """Undo whatever a row left behind."""
        self.container.reload()
        if self.container.status == "paused":
            self.resume()
        if self.container.status != "running":
            self.start()
        self.wait_until_up()

    def wait_until_up(self):
        until(self.is_up, f"{self.name} to be up", 120)


class Redis(Broker):
    """As a broker, and as the store of results whatever the broker."""

    name = "redis"
    # Waiting and claimed, by the layout of stock kombu and by that of celery_runtime.redis_transport.keys.
    HELD = """
        local held = 0
        for _, key in ipairs(redis.call('KEYS', '*')) do
            local is_queue = key == ARGV[1] or key:find(ARGV[1] .. '\\6\\22', 1, true) == 1
            if is_queue or key == 'claiming:' .. ARGV[1] then held = held + redis.call('LLEN', key) end
            if key == 'unacked' or key == 'unacked:' .. ARGV[1] then held = held + redis.call('HLEN', key) end
        end
        return held
    """

    LASTING_REPLIES = """
        local lasting = 0
        for _, key in ipairs(redis.call('KEYS', '*.reply.celery.pidbox')) do
            if redis.call('TYPE', key).ok == 'list' and redis.call('TTL', key) == -1 then lasting = lasting + 1 end
        end
        return lasting
    """

    KEYS = "return redis.call('DBSIZE') - #redis.call('KEYS', 'celery-task-meta-*')"

    def __init__(self, lab):
        self.password = lab.secret("redis_password")
        super().__init__(self.server(lab, "redis"))

    def server(self, lab, name, *options):
        """Start a server with the stack's configuration and `options`; returns its container."""
        users = lab.secrets / "redis_users"
        files = [(CONFIG / "redis.conf", "/etc/redis/redis.conf"), (users, "/run/secrets/redis_users")]
        command = ["redis-server", "/etc/redis/redis.conf", *options]
        return lab.run("redis", command, name, files=files, aliases=[name], user="redis")

    def cli(self, *words, run=None):
        """What `redis-cli` prints for a command of the administrator; raises RuntimeError for an error of Redis."""
        login = ["--user", "chaos", "--pass", self.password, "--no-auth-warning"]
        return (run or self.command)("redis-cli", "-e", *login, *words).strip()

    def ask(self, *words):
        """The same of a question, which may be asked twice."""
        return self.cli(*words, run=self.answer)

    def is_up(self):
        try:
            return "loading:0" in self.cli("info", "persistence")
        except RuntimeError:
            return False

    def held(self, queue):
        """Messages of `queue` that wait or that somebody holds."""
        return int(self.ask("eval", self.HELD, "0", queue))

    def memory(self):
        """MiB in use."""
        info = dict(line.split(":", 1) for line in self.ask("info", "memory").splitlines() if ":" in line)
        return int(info["used_memory"]) / 2**20

    def lasting_replies(self):
        """Reply lists of remote control that never expire."""
        return int(self.ask("eval", self.LASTING_REPLIES, "0"))

    def keys(self):
        """How many there are that are not results."""
        return int(self.ask("eval", self.KEYS, "0"))

    def cut_clients(self):
        self.cli("client", "kill", "type", "normal")

    def fill(self):
        self.cli("config", "set", "maxmemory", "1mb")

    def unfill(self):
        self.cli("config", "set", "maxmemory", "384mb")

    def forget(self, queue, *, everything):
        """Delete what a row left; stock Celery leaves keys without the queue's name."""
        self.unfill()
        self.cli(
            "eval",
            "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', k) end",
            "0",
            "*" if everything else f"*{queue}*",
        )

    def dead_letters(self, queue):
        return int(self.ask("llen", f"dead.{queue}"))


class RabbitMQ(Broker):
    name = "rabbitmq"

    def __init__(self, lab):
        # The host's name is the node's, and with it the folder of its data.
        names = {"aliases": ["rabbitmq"], "hostname": "rabbitmq"}
        super().__init__(lab.run("rabbitmq", None, "rabbitmq", files=self.files(lab), user="rabbitmq", **names))

    def files(self, lab):
        """What a node is configured with."""
        return [
            (CONFIG / "rabbitmq.conf", "/etc/rabbitmq/rabbitmq.conf"),
            (CONFIG / "rabbitmq-plugins", "/etc/rabbitmq/enabled_plugins"),
            (lab.secrets / "rabbitmq_conf", "/etc/rabbitmq/conf.d/20-password.conf"),
            (lab.file("advanced.config", ADVANCED), "/etc/rabbitmq/advanced.config"),
        ]

    def is_up(self):
        return self.container.exec_run(["rabbitmq-diagnostics", "-q", "check_port_connectivity"]).exit_code == 0

    def queues(self):
        """Messages in each queue, ready and unacknowledged together."""
        listing = self.answer(
            "rabbitmqctl", "-q", "--formatter=json", "list_queues", "-p", "celery", "name",
            "messages_ready", "messages_unacknowledged",
        )  # fmt: skip
        return {q["name"]: q["messages_ready"] + q["messages_unacknowledged"] for q in json.loads(listing)}

    def held(self, queue):
        """Messages of `queue` that wait, that somebody holds, or whose delay runs."""
        counts = self.queues().items()
        return sum(count for name, count in counts if name == queue or name.startswith("celery_delayed"))

    def keys(self):
        """How many queues there are."""
        return len(self.queues())

    def memory(self):
        """MiB in use."""
        return int(self.answer("rabbitmqctl", "-q", "eval", "erlang:memory(total).")) / 2**20

    def limit_deliveries(self, milliseconds):
        """How long a message may be unacknowledged before its channel is closed, where its queue says nothing."""
        self.command("rabbitmqctl", "-q", "eval", f"application:set_env(rabbit, consumer_timeout, {milliseconds}).")

    def cut_clients(self):
        self.command("rabbitmqctl", "-q", "close_all_connections", "chaos")

    def fill(self):
        self.command("rabbitmqctl", "-q", "set_vm_memory_high_watermark", "0")

    def unfill(self):
        self.command("rabbitmqctl", "-q", "set_vm_memory_high_watermark", "absolute", "460MiB")

    def forget(self, queue, *, everything):
        self.unfill()
        for name in self.queues():
            if name.endswith(queue):
                self.command("rabbitmqctl", "-q", "delete_queue", "-p", "celery", name)

    def dead_letters(self, queue):
        return self.queues().get(f"dead.{queue}", 0)
