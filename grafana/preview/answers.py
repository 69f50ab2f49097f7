"""What the panels' queries answer, in the form that it is drawn in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from grafana.queries import Panel, ask, filled


class Series(NamedTuple):
    """points: (seconds before now, value). query: its letter in the panel."""

    name: str
    query: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        return self.points[-1][1] if self.points else math.nan

    @property
    def highest(self) -> float:
        return max((value for _, value in self.known()), default=0)

    def known(self) -> list[tuple[float, float]]:
        """The points that are numbers: a quantile of nothing is none."""
        return [(at, value) for at, value in self.points if math.isfinite(value)]


class Source(NamedTuple):
    """A Prometheus, asked about the `span` seconds before `now`, with so many points."""

    url: str
    now: float
    span: float
    points: int

    def over_time(self, panel: Panel) -> list[Series]:
        step = max(self.span / self.points, 1)
        return self._series(panel, "query_range", start=self.now - self.span, end=self.now, step=step)

    def at_last(self, panel: Panel) -> list[Series]:
        return self._series(panel, "query", time=self.now)

    def _series(self, panel: Panel, path: str, **when: float) -> list[Series]:
        found = []
        for place, (expr, legend) in enumerate(panel.queries):
            for row in ask(self.url, path, query=filled(expr, {}), **when)["result"]:
                points = tuple((at - self.now, float(value)) for at, value in row.get("values") or [row["value"]])
                labels = row["metric"]
                found.append(Series(_named(legend, labels), chr(ord("A") + place), labels, points))
        return found


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda label: labels.get(label[1], ""), legend)


def colour(panel: Panel, series: Series, default: str) -> str:
    """That of the panel's overrides: by the name of the series, or by its query."""
    for rule in panel.json["fieldConfig"]["overrides"]:
        wanted: Any = series.name if rule["matcher"]["id"] == "byName" else series.query
        if rule["matcher"].get("options") == wanted:
            for value in rule["properties"]:
                if value["id"] == "color":
                    return str(value["value"]["fixedColor"])
    return default


def judged(steps: list[Mapping[str, Any]], value: float) -> str:
    """The colour of the last threshold that the value reaches."""
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return str(reached[-1])
