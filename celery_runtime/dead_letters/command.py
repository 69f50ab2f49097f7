"""`celery-runtime dead-letters`: what an operator does with parked messages, the same on both brokers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from kombu.exceptions import KombuError

from celery_runtime import text_table
from celery_runtime.dead_letters.boxes import Box, box_of
from celery_runtime.dead_letters.letter import DeadLetter
from celery_runtime.dead_letters.selection import Selection, selection
from celery_runtime.settings import ConfigError

PROGRESS = 2.0  # seconds between two lines about a long operation
COLUMNS = ("id", "queue", "reason", "time", "task", "task_id", "detail")
WIDTH = 48  # of a column at most; --json shows everything
CONNECT = {"max_retries": 1, "interval_start": 0.5, "timeout": 10}  # seconds


def run(app: Any, queues: list[str], options: Any) -> int:
    """Run one action; returns its exit code. Raises ConfigError for a wrong option."""
    chosen = selection(options, queues)
    connection = app.connection_for_write()
    try:
        connection.ensure_connection(**CONNECT)
        return ACTIONS[options.action](connection, chosen, options)
    except (*connection.connection_errors, *connection.channel_errors, KombuError) as error:
        print(f"the broker at {connection.as_uri()} does not answer as it should: {error}", file=sys.stderr)
        return 1
    finally:
        connection.release()


def _list(connection: Any, chosen: Selection, options: Any) -> int:
    rows = [letter.summary() for _, letter in _chosen(connection, chosen)]
    if options.json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        print(f"No dead letters {_described(chosen)}.")
    else:
        print(text_table.render([{name: row[name] for name in COLUMNS} for row in rows], WIDTH))
    return 0


def _show(connection: Any, chosen: Selection, options: Any) -> int:
    found = [letter.document() for _, letter in _chosen(connection, chosen)]
    if not found:
        print(f"No dead letter has the id {options.id} {_described(chosen)}.", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for document in found:
        message = document.pop("message")
        for name, value in (document | message).items():
            text = value if isinstance(value, str) else json.dumps(value, indent=2)
            print(f"{name + ':':13}{text}".rstrip())
    return 0


def _replay(connection: Any, chosen: Selection, options: Any) -> int:
    if options.dry_run:
        return _told("would be put back", sum(1 for _ in _chosen(connection, chosen)), chosen, options)
    return _told("put back", _moved(connection, chosen, lambda box, letter: box.replay(letter)), chosen, options)


def _purge(connection: Any, chosen: Selection, options: Any) -> int:
    if not options.yes:
        if not sys.stdin.isatty():
            raise ConfigError("purge deletes for ever, and nobody is there to be asked.\n  Add --yes.")
        count = sum(1 for _ in _chosen(connection, chosen))
        if count and input(f"Delete {count} dead letters {_described(chosen)} for ever? [y/N] ").lower() != "y":
            print("Nothing was deleted.")
            return 1
    return _told("deleted", _moved(connection, chosen, lambda box, letter: box.drop(letter)), chosen, options)


def _chosen(connection: Any, chosen: Selection) -> Iterator[tuple[Box, DeadLetter]]:
    """Yield the letters that the selection takes, while their box is open."""
    left = chosen.limit
    for queue in chosen.queues:
        with box_of(connection, queue) as box:
            for letter in _with_progress(box, queue):
                if left == 0:
                    return
                if chosen.takes(letter):
                    left = None if left is None else left - 1
                    yield box, letter


def _with_progress(box: Box, queue: str) -> Iterator[DeadLetter]:
    told = time.monotonic()
    for number, letter in enumerate(box.letters()):
        yield letter
        if time.monotonic() - told > PROGRESS:
            told = time.monotonic()
            print(f"dead.{queue}: {number + 1} looked at", file=sys.stderr, flush=True)


def _moved(connection: Any, chosen: Selection, move: Callable[[Box, DeadLetter], bool]) -> int:
    return sum(move(box, letter) for box, letter in _chosen(connection, chosen))


def _told(what: str, count: int, chosen: Selection, options: Any) -> int:
    if options.json:
        print(json.dumps({what.replace(" ", "_"): count}))
    elif count:
        print(f"{count} {'dead letter' if count == 1 else 'dead letters'} {_described(chosen)} {what}.")
    else:
        print(f"No dead letters {_described(chosen)}: nothing {what}.")
    return 0 if count else 1


def _described(chosen: Selection) -> str:
    """The selection in words."""
    parts = [f"in {', '.join(chosen.queues)}"]
    parts += [f"with reason {chosen.reason}"] if chosen.reason else []
    parts += [f"of task {chosen.task}"] if chosen.task else []
    parts += [f"parked before {chosen.before:%Y-%m-%d %H:%M:%S} UTC"] if chosen.before else []
    return " ".join(parts)


ACTIONS = {"list": _list, "show": _show, "replay": _replay, "purge": _purge}
