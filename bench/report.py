"""Tables for people: of what was measured, and of the verdict on each target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.judge import Measured, Verdict, judge, steady
from bench.scenarios.registry import SCENARIOS
from bench.spread import Summary, ratio, summary
from bench.targets import TARGETS

BROKERS = {"redis": "Redis", "rabbitmq": "RabbitMQ"}
TITLES = {
    "drain": "A full queue is emptied",
    "enqueue": "One producer, tasks a second",
    "latency": "From publishing to start, milliseconds",
    "mixed": "Short tasks among long ones: from publishing to start, milliseconds",
    "memory": "Start and memory",
    "stop": "SIGTERM while tasks of 0.1 s run",
    "monitoring": "A full queue is emptied, with metrics, collector and exporter, with tracing too, and without",
    "growth-queued": "Milliseconds of CPU for a task, by queued tasks",
    "growth-workers": "Milliseconds of CPU for a task, by workers",
    "growth-queues": "Milliseconds of CPU for a task, by queues of one worker",
    "growth-payloads": "Milliseconds of CPU for a task, by bytes of argument",
}
HEADINGS = {"rate": "tasks/s", "cpu_ms": "ms of CPU for a task", "delay": "one by one", "batch": "as a batch"}
WORDS = {"startup": "first result, s", "idle": "idle, MB", "loaded": "after load, MB"}
# What the last column compares: a metric with that of another variant in the same round.
COMPARED = {
    "drain": ("rate", "stock"),
    "enqueue": ("delay", "stock"),
    "latency": ("p99_400", "stock"),
    "mixed": ("p99", "stock-safe"),
    "memory": ("idle_2", "stock"),
}


def tables(figures: Measured) -> list[str]:
    """Markdown, one table for each broker and scenario that was measured."""
    lines = []
    for scenario in SCENARIOS:
        for broker, name in BROKERS.items():
            if variants := figures.get(broker, {}).get(scenario.name):
                order = [each.name for each in scenario.variants if each.name in variants]
                lines += ["", f"### {TITLES[scenario.name]}, {name}", *_table(scenario.name, variants, order)]
    return lines[1:]


def _table(scenario: str, variants: Mapping[str, Mapping[str, Sequence[float]]], order: Sequence[str]) -> list[str]:
    metrics = list(dict.fromkeys(metric for name in order for metric in variants[name]))
    last = _last_column(scenario)
    lines = [
        f"| variant | {' | '.join(_heading(metric) for metric in metrics)} |{f' {last} |' if last else ''}",
        "|---" * (len(metrics) + 1 + bool(last)) + "|",
    ]
    for name in order:
        cells = [_cell(variants[name].get(metric)) for metric in metrics]
        if last:
            cells.append(_compared(scenario, variants, name))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _heading(metric: str) -> str:
    if metric in HEADINGS:
        return HEADINGS[metric]
    name, _, number = metric.rpartition("_")
    if name == "cpu_ms":
        return f"{int(number):,}".replace(",", " ")
    if name in WORDS:
        return f"{WORDS[name]}, {number} children"
    return f"{name} at {number}/s" if name else metric


def _last_column(scenario: str) -> str:
    if scenario.startswith("growth-"):
        return "largest against smallest"
    metric, base = COMPARED.get(scenario, ("", ""))
    return f"{_heading(metric)} against {base}" if metric else ""


def _compared(scenario: str, variants: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> str:
    if scenario.startswith("growth-"):
        first, *_, last = variants[name]
        return _ratio(variants[name][last], variants[name][first], first)
    metric, base = COMPARED[scenario]
    if name == base or base not in variants or metric not in variants[name]:
        return ""
    return _ratio(variants[name][metric], variants[base][metric], metric)


def _ratio(values: Sequence[float], base: Sequence[float], metric: str) -> str:
    found = ratio(values, base)
    return f"{found.median:.2f}" if steady(found, metric) else "-"


def _cell(values: Sequence[float] | None) -> str:
    return _told(summary(values)) if values else ""


def _told(found: Summary) -> str:
    text = f"{found.median:.0f}" if abs(found.median) >= 100 else f"{found.median:.3g}"
    return text if not found.spread else f"{text} ({found.spread:.0%})"


def verdicts(figures: Measured) -> list[Verdict]:
    """One for each target of the scenarios that these figures have."""
    return [judge(target, figures) for target in TARGETS if target.scenario in figures.get(target.broker, {})]


def verdict_table(judged: Iterable[Verdict]) -> list[str]:
    """Markdown; what is held against another variant is a ratio."""
    lines = ["| target | variant | wanted | found | verdict |", "|---|---|---|---|---|"]
    for verdict in judged:
        target = verdict.target
        who = f"{target.variant} on {BROKERS[target.broker]}{f' against {target.against}' if target.against else ''}"
        found = "-" if verdict.value is None else f"{verdict.value:.2f}"
        spread = "" if verdict.spread is None else f" ({verdict.spread:.0%})"
        wanted = f"{target.kind} {target.bound:g}"
        lines.append(f"| {target.what} | {who} | {wanted} | {found}{spread} | {verdict.result} |")
    return lines
