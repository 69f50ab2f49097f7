"""Draw what was measured: `python -m bench.plots RESULT FOLDER`, with the python that has matplotlib.

Nothing here needs more than that and the standard library: the runtime is not in that environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.spread import summary

Figures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]]
NAMES = {"redis": "Redis", "rabbitmq": "RabbitMQ"}
BARS = {
    "drain": ("rate", "tasks a second, a full queue is emptied"),
    "enqueue": ("delay", "tasks a second, one producer"),
    "latency": ("p99_400", "ms from publishing to start, p99 at 400/s"),
    "memory": ("idle_2", "MB of an idle worker with 2 children"),
}
LINES = {
    "growth-queued": "queued tasks",
    "growth-workers": "workers",
    "growth-queues": "queues",
    "growth-payloads": "bytes of argument",
}
LIGHT, DARK = "#9db4c0", "#2f6690"


def pictures(figures: Figures) -> list[tuple[str, str]]:
    """The name and the title of each plot that these figures are enough for."""
    found = []
    for broker, name in NAMES.items():
        for scenario in figures.get(broker, {}):
            if scenario in BARS:
                found.append((f"{scenario}-{broker}", f"{BARS[scenario][1]}, {name}"))
            elif scenario in LINES:
                found.append((f"{scenario}-{broker}", f"ms of CPU for a task by {LINES[scenario]}, {name}"))
    return sorted(found)


def main() -> None:
    """Draw each plot, as text that changes only where the figures do."""
    import matplotlib as mpl  # type: ignore[import-not-found]

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9})
    figures = json.loads(Path(sys.argv[1]).read_text())["figures"]
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, title in pictures(figures):
        scenario, _, broker = name.rpartition("-")
        draw = _bars if scenario in BARS else _lines
        draw(figures[broker][scenario], scenario, title, folder / f"{name}.svg")


def _bars(variants: Mapping[str, Mapping[str, Sequence[float]]], scenario: str, title: str, path: Path) -> None:
    """The medians, shortest first; the line on each reaches from the lowest run to the highest."""
    metric = BARS[scenario][0]
    runs = {name: metrics[metric] for name, metrics in variants.items() if metric in metrics}
    names = sorted(runs, key=lambda name: summary(runs[name]).median)
    medians = [summary(runs[name]).median for name in names]
    errors = [
        [median - min(runs[name]) for name, median in zip(names, medians, strict=True)],
        [max(runs[name]) - median for name, median in zip(names, medians, strict=True)],
    ]
    figure, axes = _axes(title, 0.28 * len(names) + 0.9)
    colours = [DARK if name.startswith(("prefork", "direct", "threads")) else LIGHT for name in names]
    axes.barh(names, medians, color=colours, xerr=errors, ecolor="#444444", capsize=2)
    _save(figure, path)


def _lines(variants: Mapping[str, Mapping[str, Sequence[float]]], scenario: str, title: str, path: Path) -> None:
    figure, axes = _axes(title, 3)
    for name, metrics in variants.items():
        points = sorted((int(metric.rpartition("_")[2]), summary(runs).median) for metric, runs in metrics.items())
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.legend()
    _save(figure, path)


def _axes(title: str, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # type: ignore[import-not-found]

    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
