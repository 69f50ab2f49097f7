"""Who plays in a row: workers, Beats, producers, Flower, a proxy, each in a container."""

from __future__ import annotations

import json

from tests.chaos.lab import WORKLOAD
from tests.chaos.worker import Process

STOCK = ("celery", "-A", "workload.app")


class Cast:
    """Starts the processes of one trial, which is what its methods read."""

    def environment(self):
        return {
            "VISIBILITY_TIMEOUT": "60",
            "RUN": self.queue,
            "QUEUE": self.queue,
            "BROKER": self.broker.name,
            "REDIS_URL": "redis://celery@redis:6379/0",
            "REDIS_PASSWORD_FILE": "/run/secrets/redis_password",
            "RABBITMQ_URL": "amqp://celery@rabbitmq:5672/celery",
            "RABBITMQ_PASSWORD_FILE": "/run/secrets/rabbitmq_password",
            "QUEUES_FILE": "/trial/queues.toml",
            "CELERY_APP": "workload.app:app",
            "PYTHONPATH": "/srv:/chaos",
            "STOCK": "1" if self.celery == "stock" else "",
            "RUNTIME_OFF": self.off,
        } | self.variables

    def process(self, name, command, env=(), **options):
        files = [
            (WORKLOAD, "/chaos/workload"),
            (self.lab.secrets, "/run/secrets"),
            (self.lab.folder / self.queue, "/trial"),
        ]
        env = self.environment() | dict(env)
        process = Process(self.lab, f"{self.queue}-{name}", command, env=env, files=files, **options)
        self.processes.append(process)
        return process

    def worker(self, name="worker", env=(), **options):
        """Start a worker and wait until it consumes."""
        command = ["celery-runtime", "worker", self.queue]
        if self.celery == "stock":
            command = [*STOCK, "worker", "-Q", self.queue, "-c", str(self.concurrency)]
            command += ["--loglevel=INFO", "-n", f"{self.queue}@%h"]
        return self.process(name, command, env, **options).wait_until_ready()

    def beat(self, name, every):
        """Start a Beat that sends a tick every `every` seconds."""
        command = ["celery-runtime", "beat"]
        if self.celery == "stock":
            command = [*STOCK, "beat", "--loglevel=INFO", "--schedule=/tmp/schedule", "--pidfile="]
        return self.process(f"beat-{name}", command, env={"TICK": str(every)})

    def flower(self):
        """Start Flower, which switches the workers' events on."""
        command = ["celery-runtime", "flower"]
        if self.celery == "stock":
            command = [*STOCK, "flower", "--persistent=False"]
        variables = {"FLOWER_PASSWORD_FILE": "/run/secrets/flower_password"}
        return self.process("flower", command, env=variables).wait_until_said("Connected to")

    def proxy(self):
        """Start a proxy before the broker; returns it, and the variables of a worker that uses it."""
        port = {"redis": 6379, "rabbitmq": 5672}[self.broker.name]
        command = ["python", "/chaos/workload/proxy.py", self.broker.name, str(port)]
        proxy = self.process("proxy", command, restart="no").wait_until_ready()
        name = f"{self.broker.name.upper()}_URL"
        return proxy, {name: self.environment()[name].replace(f"@{self.broker.name}:", f"@{proxy.name}:")}

    def publishing(self, task, count, *, prefix="task", rate=0, options=(), **kwargs):
        """Start a producer of `count` tasks, at most `rate` per second."""
        order = {"task": task, "count": count, "prefix": self.id(prefix, ""), "rate": rate, "options": dict(options)}
        order["kwargs"] = kwargs
        command = ["python", "-m", "workload.produce", json.dumps(order)]
        return self.process(f"producer-{prefix}", command, restart="no")
