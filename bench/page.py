"""The part of docs/performance.md that is made from the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.plots import pictures
from bench.report import BROKERS, tables, verdict_table, verdicts
from bench.servers import BenchError

BEGIN, END = "<!-- made by make bench: begin -->", "<!-- made by make bench: end -->"


def write(path: Path, result: dict[str, Any]) -> None:
    """Replace what stands between the markers in the file at `path`. Raises BenchError without them."""
    path.write_text(render(path.read_text(), path.stem, result))


def render(text: str, folder: str, result: dict[str, Any]) -> str:
    """The page with the tables of `result` and the plots in `folder`, beside it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"The page must have the lines {BEGIN} and {END}, in this order.")
    return "\n".join([f"{before}{BEGIN}", *_body(folder, result), f"{END}{after}"])


def _body(folder: str, result: dict[str, Any]) -> list[str]:
    figures = result["figures"]
    plots = [line for name, title in pictures(figures) for line in (f"![{title}]({folder}/{name}.svg)", "")]
    judged = verdict_table(verdicts(figures))
    return [*_where(result), "", "## Targets", "", *judged, "", "## Figures", "", *plots, *tables(figures)]


def _where(result: dict[str, Any]) -> list[str]:
    machine, runs = result["machine"], result["runs"]
    processor = f"{machine['cores']} cores ({machine['processor']})"
    lines = [
        f"Machine: {processor}, {machine['memory_gb']} GB of memory, Python {machine['python']}.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in result['versions'].items())}.",
        "",
    ]
    for broker, name in BROKERS.items():
        told = {scenario: _settings(each) for scenario, each in runs.get(broker, {}).items()}
        for settings in dict.fromkeys(told.values()):
            measured = [scenario for scenario, each in told.items() if each == settings]
            lines.append(f"- {name}, {', '.join(measured)}: {settings}.")
    return lines


def _settings(run: dict[str, Any]) -> str:
    return "{date}, {tasks} tasks, rounds: {rounds}, load of the machine before: {load_before}".format(**run)
