"""`make bench`: this blueprint against stock Celery and other libraries, by turns, on servers of its own.

Figures differ between machines; the ratio of two runs next to each other holds, unless the rounds differ too much:
then there is none.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import page, report, result
from bench.judge import Measured
from bench.rounds import Plan
from bench.scenarios.registry import SCENARIOS
from bench.servers import ROOT, BenchError, serve
from bench.variants import PEERS_PYTHON

NAMES = [scenario.name for scenario in SCENARIOS]


def main() -> int:
    """Measure, print tables and verdicts, write the files; returns 0 unless a target is missed: 1, or 2 on error."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `finally`, which removes the containers
    try:
        if arguments.page_only:
            _publish(arguments, result.read(arguments.result))
            return 0
        if arguments.result.exists():
            result.read(arguments.result)  # a file that cannot be added to is told before the minutes are spent
        settings = {"tasks": arguments.tasks, "load_before": round(os.getloadavg()[0], 1)}
        found = _measure(arguments)
        told = result.merge(arguments.result, found, settings)
        if arguments.page:
            _publish(arguments, told)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted: nothing was written.", file=sys.stderr)
        return 130
    judged = report.verdicts(found)
    print("\n".join([*report.tables(found), *(["", *report.verdict_table(judged)] if judged else [])]))
    return 1 if any(verdict.result == "missed" for verdict in judged) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Compare this blueprint with stock Celery.")
    parser.add_argument("--broker", choices=["redis", "rabbitmq", "both"], default="both")
    parser.add_argument("--tasks", type=int, default=2000, help="in the queue at the start; more for what is faster")
    parser.add_argument("--runs", type=int, default=3, help="of each variant, by turns")
    parser.add_argument("--minutes", type=float, default=13.5, help="after which no further measurement begins")
    parser.add_argument("--only", default="", help=f"some of {','.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="measure the most important figures only")
    parser.add_argument("--result", type=Path, required=True, help="the file of the figures")
    parser.add_argument("--page", type=Path, help="the page that shows them")
    parser.add_argument("--page-only", action="store_true", help="write the page anew, measure nothing")
    arguments = parser.parse_args()
    if arguments.tasks < 100 or arguments.runs < 1:
        parser.error(f"TASKS = {arguments.tasks}, RUNS = {arguments.runs}: at least 100 tasks and 1 run, please")
    wanted = [name for name in arguments.only.split(",") if name]
    if unknown := set(wanted) - set(NAMES):
        parser.error(f"ONLY = {min(unknown)} is nothing that is measured. Choose of {', '.join(NAMES)}")
    arguments.scenarios = [each for each in SCENARIOS if each.name in wanted or not (wanted or each.slow)]
    return arguments


def _measure(arguments: argparse.Namespace) -> Measured:
    brokers = ["redis", "rabbitmq"] if arguments.broker == "both" else [arguments.broker]
    with serve(brokers) as servers:
        return Plan(
            servers, arguments.scenarios, arguments.tasks, arguments.runs, arguments.minutes, arguments.quick
        ).measure()


def _publish(arguments: argparse.Namespace, told: dict[str, Any]) -> None:
    folder = arguments.page.with_suffix("")
    command = [PEERS_PYTHON, "-m", "bench.plots", arguments.result.resolve(), folder.resolve()]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if drawn.returncode:
        raise BenchError(f"The plots were not drawn:\n{drawn.stderr[-2000:]}")
    page.write(arguments.page, told)


if __name__ == "__main__":
    sys.exit(main())
