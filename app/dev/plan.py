"""What `make dev` runs: each process's command and environment, on checked ports and in one folder."""

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.dev import DevError
from app.dev.private_redis import configuration, find_server
from celery_runtime.queues import load_queues
from celery_runtime.settings import ConfigError

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PORTS = {"API_PORT": 8000, "MAIL_HTTP_PORT": 8025, "MAIL_SMTP_PORT": 1025, "AI_PORT": 8080}
OURS = (
    "BROKER", "REDIS_URL", "REDIS_PASSWORD", "RABBITMQ_URL", "RABBITMQ_PASSWORD",
    "DATABASE_URL", "DATABASE_PASSWORD", "SMTP_HOST", "SMTP_PORT", "AI_BASE_URL", "AI_API_KEY",
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A process: its name in the log, what it runs, and what its environment has beyond the common one."""

    name: str
    argv: tuple[str, ...]
    extra: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """All processes. `checks` are http:// addresses that answer 200 when everything is ready."""

    state: Path
    ports: Mapping[str, int]
    redis_port: int
    environ: Mapping[str, str]
    commands: tuple[Command, ...]
    checks: tuple[str, ...]

    @property
    def greeting(self) -> str:
        """What a person needs to know when everything is ready."""
        api, mail = (f"http://{HOST}:{self.ports[name]}" for name in ("API_PORT", "MAIL_HTTP_PORT"))
        return (
            f"API    {api}\n"
            f"mails  {mail}\n"
            f"Send a picture:   curl -F file=@app/samples/photo.jpg {api}/images\n"
            f"Check everything: {Path(sys.executable)} -m app.smoke --api {api} --mail {mail}\n"
            f"State is in {self.state}. Ctrl-C ends everything.\n"
        )

    def write_redis_files(self) -> None:
        """Writes redis.conf with a new password: nothing outlives a run that would need the old one."""
        password = secrets.token_urlsafe(24)
        _write_private(self.state / "redis-password", password)
        _write_private(self.state / "redis.conf", configuration(self.redis_port, password, self.state / "redis"))


def make_plan(environ: Mapping[str, str]) -> Plan:
    """Checks everything that can be checked before a process starts. Raises DevError."""
    if environ.get("BROKER", "redis") not in ("", "redis"):
        raise DevError(
            f"BROKER = {environ['BROKER']!r}: `make dev` runs on a Redis of its own only.\n"
            "  Leave BROKER out, or use the stack: BROKER=rabbitmq make up"
        )
    ports = {name: _port(name, environ.get(name, ""), default) for name, default in PORTS.items()}
    _check_free(ports)
    server = find_server()
    queues = _queues(environ)
    state = _state(environ)
    redis_port, beat_port, *worker_ports = free_ports(2 + len(queues))
    commands = [Command("redis", (str(server), str(state / "redis.conf")), {}), *_services(beat_port)]
    commands += [_worker(queue, port) for queue, port in zip(queues, worker_ports, strict=True)]
    checks = [f"http://{HOST}:{ports[name]}/healthz" for name in ("API_PORT", "MAIL_HTTP_PORT", "AI_PORT")]
    checks += [f"http://{HOST}:{port}/readyz" for port in worker_ports] + [f"http://{HOST}:{beat_port}/livez"]
    environ = _environ(environ, state, ports, redis_port)
    return Plan(state, ports, redis_port, environ, tuple(commands), tuple(checks))


def _services(beat_port: int) -> list[Command]:
    def module(name: str) -> tuple[str, ...]:
        return (sys.executable, "-m", name)

    return [
        Command("mail", module("app.standins.mail"), {}),
        Command("ai", module("app.standins.ai"), {}),
        Command("api", module("app.api"), {}),
        Command("beat", (*module("celery_runtime"), "beat"), {"HEALTH_PORT": str(beat_port)}),
    ]


def _worker(queue: str, port: int) -> Command:
    argv = (sys.executable, "-m", "celery_runtime", "worker", queue)
    return Command(f"worker-{queue}", argv, {"HEALTH_PORT": str(port)})


def _environ(given: Mapping[str, str], state: Path, ports: Mapping[str, int], redis_port: int) -> dict[str, str]:
    """The given environment with every address replaced by that of this machine's processes."""
    dropped = {*OURS, *(f"{name}_FILE" for name in OURS)}
    return {
        "FAULTS": "on",
        **{name: value for name, value in given.items() if name not in dropped},
        **{name: str(port) for name, port in ports.items()},
        "BROKER": "redis",
        "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
        "REDIS_PASSWORD_FILE": str(state / "redis-password"),
        "DATABASE_URL": f"sqlite:///{state / 'app.db'}",
        "SMTP_HOST": HOST,
        "SMTP_PORT": str(ports["MAIL_SMTP_PORT"]),
        "AI_BASE_URL": f"http://{HOST}:{ports['AI_PORT']}/v1",
        "MAIL_URL": f"http://{HOST}:{ports['MAIL_HTTP_PORT']}",
        "API_HOST": HOST,
        "MAIL_HOST": HOST,
        "AI_HOST": HOST,
        "HEALTH_ADDRESS": HOST,
        "PYTHONUNBUFFERED": "1",
    }


def _queues(environ: Mapping[str, str]) -> list[str]:
    path = ROOT / (environ.get("QUEUES_FILE") or "queues.toml")
    try:
        return list(load_queues(path))
    except ConfigError as error:
        raise DevError(str(error)) from None


def _port(name: str, value: str, default: int) -> int:
    try:
        port = int(value or default)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise DevError(f"{name} = {value!r} is not a port.\n  Use a number from 1 to 65535: {name}={default} make dev")
    return port


def _check_free(ports: Mapping[str, int]) -> None:
    """Raises DevError for the first port that is taken, by another program or by two of ours."""
    for name, port in ports.items():
        twins = [other for other in ports if ports[other] == port]
        if len(twins) > 1:
            raise DevError(f"{' and '.join(twins)} are both {port}.\n  Give each a port of its own.")
        try:
            with socket.create_server((HOST, port)):
                pass
        except OSError as error:
            remedy = f"{name}={port + 10000 if port < 50000 else port - 10000} make dev"
            raise DevError(
                f"{name} = {port}: {HOST}:{port} cannot be used ({os.strerror(error.errno or 0)}).\n"
                f"  End the program that has it (a stack? `make down`), or choose another port: {remedy}"
            ) from None


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now; all are held until the last is found, so none comes twice."""
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in held]
    for listener in held:
        listener.close()
    return ports


def _state(environ: Mapping[str, str]) -> Path:
    """The folder of database, Redis data and password, closed to other users and to git."""
    state = (ROOT / (environ.get("DEV_STATE_DIR") or ".dev")).resolve()
    try:
        (state / "redis").mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        (state / ".gitignore").write_text("*\n")
    except OSError as error:
        raise DevError(
            f"DEV_STATE_DIR = {state} cannot be written ({error.strerror}).\n"
            "  Name a folder that is yours: DEV_STATE_DIR=/tmp/dev make dev"
        ) from None
    return state


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
