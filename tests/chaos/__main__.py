"""Play rows of the fault matrix and print what was lost: `python -m tests.chaos --rows 1,5 --broker redis`."""

from __future__ import annotations

import argparse
import itertools
import sys
from concurrent.futures import as_completed
from pathlib import Path

from tests.chaos import rows as _all_rows  # noqa: F401  registers them
from tests.chaos.matrix import BROKERS, ROWS, Matrix

HEAD = f"{'row':>3}  {'broker':8} {'Celery':7} {'accepted':>8} {'lost':>5} {'doubled':>7} {'re-run':>6} {'back s':>6}"
ELSEWHERE = "rows 24 to 26 (scale-in, scale from zero, node drain) need a cluster: the Kubernetes tier runs them"
LOG_TAIL = 15  # lines of each container that are shown when a row does not hold


def main():
    arguments = _arguments()
    matrix = Matrix(arguments.nodes)
    try:
        plays = [
            play for play in itertools.product(arguments.rows, arguments.broker) if play[1] in ROWS[play[0]].brokers
        ]
        outcomes = [outcome for celery in arguments.celery for outcome in _play(matrix, plays, celery, arguments)]
    finally:
        matrix.close()
    _print_table(outcomes)
    return 0 if all(outcome.holds for outcome in outcomes if outcome.celery == "runtime") else 1


def _arguments():
    parser = argparse.ArgumentParser(description="Play rows of the fault matrix on real brokers.")
    parser.add_argument("--broker", choices=BROKERS, nargs="*", default=BROKERS)
    parser.add_argument("--rows", type=_numbers, default="", metavar="1,5,8")
    parser.add_argument("--celery", choices=["runtime", "stock"], nargs="*", default=["runtime"])
    parser.add_argument("--off", default="", help="parts of the runtime to switch off, as RUNTIME_OFF")
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=1, help="of RabbitMQ, for rows that stop none")
    parser.add_argument("--short", action="store_true", help="the scaled-down numbers of `make test`")
    parser.add_argument("--logs", type=Path, help="a folder for every container's log")
    return parser.parse_args()


def _numbers(text):
    numbers = [int(number) for number in text.split(",") if number.strip()] or sorted(ROWS)
    if unknown := set(numbers) - set(ROWS):
        raise argparse.ArgumentTypeError(f"there is no row {min(unknown)}; the rows are {', '.join(map(str, ROWS))}")
    return numbers


def _play(matrix, plays, celery, arguments):
    options = {"celery": celery, "full": not arguments.short, "off": arguments.off if celery == "runtime" else ""}
    coming = matrix.start(plays, **options).values()
    return [_tell(future.result(), arguments) for future in as_completed(coming)]


def _tell(outcome, arguments):
    verdict = f"{'holds' if outcome.holds else 'FAILS'} after {outcome.seconds:.0f} s"
    print(f"row {outcome.row} on {outcome.broker}, {outcome.celery}: {verdict} ({outcome.title})", flush=True)
    print(f"  {outcome.accepted} accepted, {outcome.lost} lost, {outcome.doubled} doubled, {outcome.rerun} re-run")
    for line in [*outcome.complaints, *outcome.remarks]:
        print(f"  {line}", flush=True)
    for name, log in outcome.logs.items():
        if arguments.logs:
            arguments.logs.mkdir(parents=True, exist_ok=True)
            (arguments.logs / f"{name}-{outcome.broker}-{outcome.celery}.log").write_text(log)
        elif not outcome.holds:
            print("\n".join([f"  -- {name}", *(f"  {line}" for line in log.splitlines()[-LOG_TAIL:])]), flush=True)
    return outcome


def _print_table(outcomes):
    print(f"\n{HEAD}  verdict")
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.row, outcome.broker, outcome.celery)):
        back = "" if outcome.recovery is None else f"{outcome.recovery:.1f}"
        verdict = "holds" if outcome.holds else f"FAILS: {outcome.complaints[0]}"
        print(
            f"{outcome.row:>3}  {outcome.broker:8} {outcome.celery:7} {outcome.accepted:>8} {outcome.lost:>5} "
            f"{outcome.doubled:>7} {outcome.rerun:>6} {back:>6}  {verdict}  ({outcome.title})"
        )
    print(f"\n{ELSEWHERE}")


if __name__ == "__main__":
    sys.exit(main())
