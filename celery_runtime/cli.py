"""celery-runtime: the one command line, the same in a container, under systemd and on a laptop.

Imports stand inside the commands, because `celery-runtime health` runs every few seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

    from celery_runtime.queues import Queue
    from celery_runtime.settings import RuntimeSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 for an unhealthy process or nothing found, 2 for a wrong setting."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    if run is _health:
        return _health(arguments)
    if run in {_worker, _beat, _flower, _collector}:
        import signal

        # Until Celery has its own handler: the kernel drops a SIGTERM to a container's first process that has none, and
        # a worker that is told to stop while it starts would go on until it is killed.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from celery_runtime.settings import ConfigError

    try:
        from celery_runtime.versions import check

        check()
        return run(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="celery-runtime", description="Run and check the processes of a Celery app.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    from celery_runtime.control.arguments import add_parsers as add_control
    from celery_runtime.dead_letters.arguments import add_parser as add_dead_letters
    from celery_runtime.schedule.arguments import add_parser as add_schedule

    worker = commands.add_parser("worker", help="serve one queue of queues.toml")
    worker.add_argument("queue", metavar="QUEUE")
    worker.set_defaults(run=_worker)

    commands.add_parser("beat", help="send what is due by the schedule").set_defaults(run=_beat)
    commands.add_parser("flower", help="serve Flower behind a login").set_defaults(run=_flower)
    commands.add_parser("collector", help="show what waits in the queues, for Prometheus").set_defaults(run=_collector)
    check = commands.add_parser("check", help="inspect the app: what its workers would lose, refuse or never run")
    check.add_argument("--json", action="store_true", help="for programs")
    check.set_defaults(run=_check_app)
    propose = commands.add_parser("queues", help="propose a queues.toml from the app's routes and time limits")
    propose.set_defaults(run=_propose_queues)
    commands.add_parser("check-config", help="check variables, secrets and queues.toml").set_defaults(run=_check)

    add_dead_letters(commands, _dead_letters)
    add_schedule(commands, _schedule)
    add_control(commands, _control)
    health = commands.add_parser("health", help="ask the process on this host; exit code 0 or 1")
    health.add_argument("what", metavar="live|ready|URL")
    health.set_defaults(run=_health)
    return parser


def _worker(arguments: argparse.Namespace) -> int:
    from celery_runtime.queues import load_queues
    from celery_runtime.settings import ConfigError, RuntimeSettings, load

    settings = load(RuntimeSettings)
    queues = load_queues(settings.queues_file)
    if arguments.queue not in queues:
        raise ConfigError(
            f"{settings.queues_file}: there is no queue {arguments.queue!r}.\n"
            f"  Choose one of {', '.join(queues)}, or add it: make queue NAME={arguments.queue}"
        )
    app = load_app(settings.celery_app)
    from celery_runtime.health import check_port

    check_port(settings.health_address, settings.health_port)
    return _run(app, worker_options(queues[arguments.queue], settings))


def worker_options(queue: Queue, settings: RuntimeSettings) -> list[str]:
    """The options of `celery worker` that serve `queue` as queues.toml says.

    Two workers of one queue on one host need a NODE_NAME each: RabbitMQ locks a node's control queue to one connection.
    """
    from celery_runtime.queues import mebibytes

    pool = queue.pool_on(settings.broker, claims=settings.has("claim"))
    options = [
        "worker",
        f"--queues={queue.name}",
        f"--hostname={settings.node_name or queue.name}@%h",
        f"--pool={pool}",
        f"--loglevel={settings.log_level}",
        # Chatter between workers that nothing here reads; it grows with the square of their number.
        "--without-gossip",
        "--without-mingle",
    ]
    if queue.autoscale:
        options.append(f"--autoscale={queue.autoscale.max},{queue.autoscale.min}")
    else:
        options.append(f"--concurrency={queue.concurrency}")
    if queue.max_memory_per_child:
        options.append(f"--max-memory-per-child={1024 * mebibytes(queue.max_memory_per_child)}")  # in KiB
    if queue.events:
        options.append("--task-events")
    if pool in {"direct", "prefork"}:
        options += [
            f"--soft-time-limit={queue.soft_time_limit}",
            f"--time-limit={queue.time_limit}",
            f"--max-tasks-per-child={queue.max_tasks_per_child}",
        ]
    return options


def _beat(arguments: argparse.Namespace) -> int:
    from celery_runtime.settings import RuntimeSettings, load

    settings = load(RuntimeSettings)
    app = load_app(settings.celery_app)
    from celery_runtime.beat import serve_health
    from celery_runtime.own_scheduler import guarded
    from celery_runtime.sentinel import redbeat_options

    serve_health()
    # Set here and not by install(): a worker would show it, password included, to everybody who may inspect it.
    app.conf.update(redbeat_options(settings), beat_scheduler=guarded(app.conf.beat_scheduler))
    # No --schedule and no pid file: no schedule is in a file, and the lock in Redis tells who is the one Beat.
    return _run(app, ["beat", f"--loglevel={settings.log_level}", "--pidfile="])


def _flower(arguments: argparse.Namespace) -> int:
    from celery_runtime.settings import ConfigError, RuntimeSettings, load

    settings = load(RuntimeSettings)
    if settings.flower_password is None:
        raise ConfigError(
            "FLOWER_PASSWORD_FILE is not set.\n"
            "  Flower can stop tasks, so it is not served without a login: name a file that holds its password."
        )
    app = load_app(settings.celery_app)
    # Through the environment: a command line is readable by every user of the host.
    os.environ["FLOWER_BASIC_AUTH"] = f"{settings.flower_user}:{settings.flower_password.get_secret_value()}"
    options = [f"--address={settings.flower_address}", f"--port={settings.flower_port}"]
    # Or it would let every worker send events, again every few seconds: queues.toml and `events on` decide.
    return _run(app, ["flower", *options, "--enable-events=false"])


def _collector(arguments: argparse.Namespace) -> int:
    from celery_runtime.collector import run

    return run(_configured_app())


def _check(arguments: argparse.Namespace) -> int:
    from celery_runtime.queues import load_queues
    from celery_runtime.settings import RuntimeSettings, load

    settings = load(RuntimeSettings)
    queues = load_queues(settings.queues_file)
    load_app(settings.celery_app)
    print(f"{settings.celery_app} on {settings.broker}, queues {', '.join(queues)}: settings and secrets are complete.")
    return 0


def _check_app(arguments: argparse.Namespace) -> int:
    from celery_runtime.check.command import run
    from celery_runtime.queues import load_queues

    # No broker is asked, so none has to be set.
    return run(_set("celery_app"), load_queues(_set("queues_file")), as_json=arguments.json)


def _propose_queues(arguments: argparse.Namespace) -> int:
    from celery_runtime.check.command import run_proposal

    return run_proposal(_set("celery_app"))


def _set(setting: str) -> str:
    """One of the runtime's settings, where the others need not be complete."""
    from celery_runtime.settings import RuntimeSettings

    return os.environ.get(setting.upper()) or str(RuntimeSettings.model_fields[setting].default)


def _dead_letters(arguments: argparse.Namespace) -> int:
    from celery_runtime.dead_letters.command import run
    from celery_runtime.queues import load_queues
    from celery_runtime.settings import RuntimeSettings, load

    settings = load(RuntimeSettings)
    return run(load_app(settings.celery_app), list(load_queues(settings.queues_file)), arguments)


def _schedule(arguments: argparse.Namespace) -> int:
    from celery_runtime.schedule.command import run

    return run(_configured_app(), arguments)


def _control(arguments: argparse.Namespace) -> int:
    from celery_runtime.control.command import run

    return run(_configured_app(), arguments)


def _configured_app() -> Celery:
    from celery_runtime.settings import RuntimeSettings, load

    return load_app(load(RuntimeSettings).celery_app)


def _health(arguments: argparse.Namespace) -> int:
    from celery_runtime.probe import probe

    healthy, answer = probe(arguments.what)
    print(answer)
    return 0 if healthy else 1


def _run(app: Celery, arguments: list[str]) -> int:
    """Run one of Celery's own commands in this process; returns its exit code, which `app.start` would drop."""
    name, *options = arguments
    if name == "flower":  # which looks at the command above it
        from celery.bin.celery import celery

        celery.params[0].default = app
        return int(celery.main(args=arguments, standalone_mode=False) or 0)
    # `celery` imports every command and plugin, a line editor and Flower among them: 12 MB of each worker.
    from celery.bin.base import CLIContext

    command = getattr(import_module(f"celery.bin.{name}"), name)
    for kind in (name, "preload"):
        command.params.extend(app.user_options.get(kind, ()))
    context = CLIContext(app=app, no_color=bool(os.environ.get("NO_COLOR")), workdir=None)
    return int(command.main(options, prog_name=name, obj=context, standalone_mode=False) or 0)


def load_app(name: str) -> Celery:
    """Import the app that CELERY_APP names and install the runtime on it. Raises ConfigError."""
    from celery.app.utils import find_app

    from celery_runtime import install
    from celery_runtime.settings import ConfigError

    sys.path.insert(0, str(Path.cwd()))
    try:
        app: Any = find_app(name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"CELERY_APP = {name!r} cannot be imported: {error}.\n  A valid example: CELERY_APP=app.celery:app"
        ) from None
    return install(app)


if __name__ == "__main__":
    sys.exit(main())
