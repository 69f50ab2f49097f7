"""The command line of `celery-runtime schedule`; light, because every health check builds all parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

ACTIONS = {
    "list": "every entry, its last and its next run",
    "set": "change when an entry runs, or add one",
    "enable": "let an entry run again; one that is overdue runs at once",
    "disable": "keep an entry from running",
    "reset": "give an entry back to the code; one that is not in the code goes",
    "run": "send an entry's task now, whatever the time",
}


def add_parser(commands: Any, run: Callable[[argparse.Namespace], int]) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "schedule",
        help="look at Beat's schedule and change it without a restart",
        epilog="A change holds from Beat's next tick on, within 5 s, and after its restarts. "
        "Exit code: 0, 1 when Redis or the broker is away, 2 for a wrong value.",
    )
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for action, help_text in ACTIONS.items():
        _add_options(actions.add_parser(action, help=help_text), action)


def _add_options(parser: argparse.ArgumentParser, action: str) -> None:
    if action == "list":
        parser.add_argument("--json", action="store_true", help="for programs")
        return
    parser.add_argument("name", metavar="NAME", help="of the entry")
    if action == "set":
        when = parser.add_mutually_exclusive_group(required=True)
        when.add_argument("--every", metavar="SECONDS", help="an interval")
        when.add_argument("--cron", metavar="FIELDS", help="'MINUTE HOUR DAY MONTH WEEKDAY', like '0 7 * * mon-fri'")
        parser.add_argument("--zone", metavar="ZONE", help="of --cron, like Europe/Berlin (default: UTC)")
        parser.add_argument("--task", metavar="TASK", help="what a new entry sends, without arguments")
