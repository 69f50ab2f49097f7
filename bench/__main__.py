"""Tasks a second of this blueprint against stock Celery: `make bench [BROKER=redis|rabbitmq|both] [TASKS=] [RUNS=]`.

The variants take turns, so that what else the machine does meets both. Figures differ between machines; the ratio of
two medians in one run holds, unless the runs of one variant differ too much: then there is none.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import servers
from bench.drain import PREFORK, STOCK, Measured, Variant, measure
from bench.servers import BenchError

MAX_SPREAD = 0.25  # (slowest - fastest) / median of one variant's runs
TARGETS = {"redis": 1.6, "rabbitmq": 1.1}
VARIANTS = (STOCK, PREFORK)


def main() -> int:
    """Run, print the table, write the JSON; returns 0 when each ratio reaches its target, 1 otherwise, 2 on error."""
    parser = argparse.ArgumentParser(prog="make bench", description="Compare this blueprint with stock Celery.")
    parser.add_argument("--broker", choices=["redis", "rabbitmq", "both"], default="both")
    parser.add_argument("--tasks", type=int, default=5000, help="in the queue at the start of each run")
    parser.add_argument("--runs", type=int, default=3, help="of each variant, by turns")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    if arguments.tasks < 100 or arguments.runs < 1:
        parser.error(f"TASKS = {arguments.tasks}, RUNS = {arguments.runs}: at least 100 tasks and 1 run, please")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `finally`, which removes the containers
    brokers = ["redis", "rabbitmq"] if arguments.broker == "both" else [arguments.broker]
    try:
        figures = {broker: compare(broker, arguments.tasks, arguments.runs) for broker in brokers}
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(line for broker in brokers for line in table(broker, figures[broker])))
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0 if all(figure["verdict"] == "reached" for figure in figures.values()) else 1


def compare(broker: str, tasks: int, runs: int) -> dict[str, Any]:
    """Measure every variant `runs` times by turns."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(servers.redis())
        broker_url = stack.enter_context(servers.rabbitmq()) if broker == "rabbitmq" else redis_url
        found: dict[str, list[Measured]] = {variant.name: [] for variant in VARIANTS}
        for run in range(runs):
            for variant in VARIANTS:
                found[variant.name].append(measured := measure(variant, broker_url, redis_url, tasks))
                _progress(broker, f"{run + 1}/{runs}", variant, measured)
    return judge(broker, found)


def judge(broker: str, found: dict[str, list[Measured]]) -> dict[str, Any]:
    """Medians, spreads, and the ratio if it means anything."""
    variants = {name: _summary(runs) for name, runs in found.items()}
    steady = all(variant["spread"] <= MAX_SPREAD for variant in variants.values())
    ratio = round(variants[PREFORK.name]["rate"] / variants[STOCK.name]["rate"], 2) if steady else None
    reached = ratio is not None and ratio >= TARGETS[broker]
    verdict = "reached" if reached else "missed" if steady else "none: the runs differ too much"
    return {"variants": variants, "ratio": ratio, "target": TARGETS[broker], "verdict": verdict}


def table(broker: str, figure: dict[str, Any]) -> list[str]:
    lines = [f"\n{broker:24} {'tasks/s':>8} {'spread':>7} {'CPU ms/task':>12}"]
    for name, each in figure["variants"].items():
        lines.append(f"  {name:22} {each['rate']:8.0f} {each['spread']:7.0%} {each['cpu_ms']:12.2f}")
    ratio = "-" if figure["ratio"] is None else f"{figure['ratio']:.2f}"
    return [*lines, f"  {'ratio':22} {ratio:>8} target {figure['target']}: {figure['verdict']}"]


def _summary(runs: list[Measured]) -> dict[str, Any]:
    rates = [run.rate for run in runs]
    median = statistics.median(rates)
    return {
        "rate": round(median, 1),
        "spread": round((max(rates) - min(rates)) / median, 3),
        "cpu_ms": round(statistics.median(run.cpu_ms for run in runs), 3),
        "runs": [round(rate, 1) for rate in rates],
    }


def _progress(broker: str, run: str, variant: Variant, measured: Measured) -> None:
    print(
        f"{broker} {run} {variant.name}: {measured.rate:.0f} tasks/s, {measured.cpu_ms:.2f} ms of CPU each",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
