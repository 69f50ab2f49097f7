"""Redis servers for one module of tests, which may fill, cut off and restart them."""

from __future__ import annotations

import contextlib
import subprocess
import time

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from app.dev.private_redis import find_server
from tests.ports import free_port


class LocalServer:
    """A redis-server on a free port of this machine; `options` are further lines of redis.conf."""

    def __init__(self, folder, *options, password="", sentinel=False):
        self.folder = folder
        self.port = free_port()
        self.password = password
        if password:
            options = (*options, f"requirepass {password}", f"masterauth {password}")
        self.options = [f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", 'save ""', *options]
        self.arguments = ["--sentinel"] if sentinel else []
        self.process = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "redis.conf").write_text("\n".join(self.options) + "\n")  # a sentinel writes into it

    def start(self):
        with (self.folder / "redis.log").open("ab") as log:
            command = [find_server(), self.folder / "redis.conf", *self.arguments]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not answers(self.client()):
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "redis.log").read_text()
            time.sleep(0.02)
        return self

    def client(self, **options):
        return Redis(port=self.port, password=self.password or None, decode_responses=True, **options)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_):
        self.kill()


def answers(client):
    """Whether a server answers at all."""
    try:
        return client.ping()
    except (RedisConnectionError, OSError):
        return False


def commands_since(admin, before):
    """How often each command was called since `before`, an earlier answer of `command_counts`."""
    return {
        name: count - before.get(name, 0)
        for name, count in command_counts(admin).items()
        if count > before.get(name, 0)
    }


def command_counts(admin):
    stats = admin.info("commandstats")
    return {name.removeprefix("cmdstat_").lower(): entry["calls"] for name, entry in stats.items()}


@contextlib.contextmanager
def full(admin):
    """Leave the server no memory for anything that grows."""
    admin.config_set("maxmemory", 1)
    try:
        yield
    finally:
        with contextlib.suppress(RedisError):
            admin.config_set("maxmemory", 0)


def make_certificates(folder):
    """Write a certificate authority and a server's certificate for 127.0.0.1 into `folder`; returns it."""
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout"]
    commands = [
        [*new, "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority"],
        [*new, "server.key", "-out", "server.crt", "-subj", "/CN=127.0.0.1", "-CA", "ca.crt", "-CAkey", "ca.key",
         "-addext", "subjectAltName=IP:127.0.0.1"],
    ]  # fmt: skip
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    folder.chmod(0o755)  # the server reads as a user of its own
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder
