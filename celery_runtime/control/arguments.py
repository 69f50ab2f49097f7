"""The command line of remote control; light, because every health check builds all parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from celery_runtime.control import WAIT

EPILOG = "Exit code: 0, 1 when no worker answers or nothing was done, 2 for a wrong value."
QUESTIONS = {
    "workers": "which workers run, what they serve and how busy they are",
    "active": "the tasks that run now",
    "scheduled": "the tasks that workers hold until their time (eta, countdown)",
    "registered": "the tasks that each worker knows, with their rate limits",
}


def add_parsers(commands: Any, run: Callable[[argparse.Namespace], int]) -> None:
    """Add the commands to the subparsers of argparse."""

    def add(name: str, help_text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, epilog=EPILOG)
        parser.set_defaults(run=run, command=name)
        parser.add_argument(
            "--wait", metavar="SECONDS", type=float, default=WAIT, help="for answers (default: %(default)s)"
        )
        return parser

    for name, help_text in QUESTIONS.items():
        add(name, help_text).add_argument("--json", action="store_true", help="for programs")
    revoke = add("revoke", "keep a task from running; with --terminate, end it if it runs")
    revoke.add_argument("id", metavar="ID", help="of the task")
    revoke.add_argument("--terminate", action="store_true", help="kill the process that runs it")
    rate = add("rate", "limit how often each worker starts a task")
    rate.add_argument("task", metavar="TASK", help="its name, as in `registered`")
    rate.add_argument("rate", metavar="RATE", help="like 10/s, 100/m or 5/h; 0 for no limit")
    events = add("events", "let the workers send an event for each task, which Flower and the exporter read")
    events.add_argument("state", metavar="on|off")
    consume = add("consume", "let a worker serve one more queue")
    consume.add_argument("queue", metavar="QUEUE", help="of queues.toml")
    consume.add_argument("worker", metavar="WORKER", help="its name, as in `workers`, or what stands before the @")
    consume.add_argument("--stop", action="store_true", help="serve it no longer")
