"""The command line of `celery-runtime dead-letters`; light, because every health check builds all parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from celery_runtime.dead_letters import REASONS

ACTIONS = {
    "list": "one line for each, oldest first",
    "show": "everything about one: headers, arguments, the original message",
    "replay": "put them back at the end of their queue; nothing is lost when this is killed",
    "purge": "delete them for ever",
}


def add_parser(commands: Any, run: Callable[[argparse.Namespace], int]) -> None:
    """Add the command to the subparsers of argparse."""
    parser = commands.add_parser(
        "dead-letters",
        help="list, show, replay or purge messages that no worker could run",
        epilog="Exit code: 0, 1 when show, replay or purge found nothing, 2 for a wrong value.",
    )
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for action, help_text in ACTIONS.items():
        _add_options(actions.add_parser(action, help=help_text), action)


def _add_options(parser: argparse.ArgumentParser, action: str) -> None:
    if action == "show":
        parser.add_argument("id", metavar="ID", help="of the letter, its beginning, or of the task")
    else:
        parser.add_argument("--id", metavar="ID", help="of the letter, its beginning, or of the task")
        parser.add_argument("--task", metavar="NAME", help="only letters of this task")
        parser.add_argument("--reason", metavar="REASON", help=f"one of {', '.join(REASONS)}")
        parser.add_argument("--older-than", metavar="AGE", help="90s, 15m, 12h or 7d")
        parser.add_argument("--limit", metavar="N", help="at most so many")
    parser.add_argument("--queue", metavar="QUEUE", help="only the dead letters of this queue")
    parser.add_argument("--json", action="store_true", help="for programs")
    if action == "replay":
        parser.add_argument("--dry-run", action="store_true", help="say what would be put back")
    if action == "purge":
        parser.add_argument("--yes", action="store_true", help="do not ask")
