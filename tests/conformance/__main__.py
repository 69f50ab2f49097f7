"""Run kombu's and Celery's published integration tests with and without this runtime: `python -m tests.conformance`.

Exits with 0 when no test fails with the runtime that passes with stock Celery on the same broker, but those that
expected.toml names with a reason.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance import expected, report, schedule
from tests.conformance.brokers import remove_leftovers
from tests.conformance.comparison import Comparison
from tests.conformance.sessions import FLAVOURS, FOLDER, RESULTS, Target, collect

MANY = 60  # failures that are repeated; more are one fault, not many unsteady tests


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the containers are removed
    with _alone():
        subprocess.run([Path(__file__).with_name("prepare.sh"), FOLDER], check=True)
        return _compare(arguments)


def _compare(arguments: argparse.Namespace) -> int:
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir()
    remove_leftovers()
    plan = expected.read()
    chosen = {
        (suite, broker): collect(suite, broker, plan.files(suite, broker, FOLDER / suite), arguments.k)
        for suite in _each(arguments.suite, "celery", "kombu")  # the longer first
        for broker in _each(arguments.broker, "redis", "rabbitmq")
    }
    runs = schedule.run(
        {Target(*key, name): tests for key, tests in chosen.items() for name in FLAVOURS}, arguments.jobs
    )
    comparisons = [
        Comparison(*key, tests, *(runs[Target(*key, name)] for name in FLAVOURS)) for key, tests in chosen.items()
    ]
    for number in range(1, arguments.repeats + 1):
        _repeat(comparisons, plan, arguments.jobs, number)
    return report.show(comparisons, plan, whole=not arguments.k)


def _repeat(comparisons: list[Comparison], plan: expected.Expected, jobs: int, number: int) -> None:
    """Run what failed in either flavour once more in both, but for what expected.toml explains."""
    suspects = {}
    for found in comparisons:
        open_questions = [test for test in found.failed() if not plan.covers(found.suite, found.broker, test)]
        if open_questions:
            suspects[found.suite, found.broker] = open_questions
    count = sum(map(len, suspects.values()))
    if count > MANY:
        print(f"{count} failed: too many to repeat them", flush=True)
    if not 0 < count <= MANY:
        return
    print(f"Again, in both flavours: the {count} that failed in either ({number})", flush=True)
    wanted = {Target(*key, name): tests for key, tests in suspects.items() for name in FLAVOURS}
    runs = schedule.run(wanted, jobs, f"-again{number}")
    for found in comparisons:
        if (found.suite, found.broker) in suspects:
            found.repeats.append(tuple(runs[Target(found.suite, found.broker, name)] for name in FLAVOURS))


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second run out of the folder that holds the tests, their environment and the results."""
    FOLDER.parent.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another run is using {FOLDER}.\n  Wait until it has ended.", file=sys.stderr)
            sys.exit(2)
        yield


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.split("\n")[0])
    parser.add_argument("--broker", choices=["redis", "rabbitmq", "both"], default="both")
    parser.add_argument("--suite", choices=["kombu", "celery", "both"], default="both")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only tests that match it, as pytest's -k")
    parser.add_argument(
        "--jobs", type=int, default=8, help="sessions at a time (default: 8; they wait most of the time)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="further runs of what failed (default: 3)")
    return parser.parse_args()


def _each(choice: str, *names: str) -> tuple[str, ...]:
    return names if choice == "both" else (choice,)


if __name__ == "__main__":
    sys.exit(main())
