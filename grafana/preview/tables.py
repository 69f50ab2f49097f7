"""A picture of a table: its rows met as Grafana's transformations let them, columns in their order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from grafana.preview import svg
from grafana.preview.answers import Source, judged
from grafana.preview.units import shown
from grafana.queries import Panel

LINE = 17  # pixels
Row = tuple[Mapping[str, str], Mapping[str, float]]  # its labels, and its values by column


class Column(NamedTuple):
    """counted: it holds the values of a query, in the style of the panel's override; otherwise those of a label."""

    name: str
    x: float
    width: float
    counted: bool
    style: Mapping[str, Any]


def table(panel: Panel, x: float, y: float, width: float, height: float, source: Source) -> Iterator[str]:
    """As many rows as fit."""
    rows = _rows(panel, source)
    columns = _columns(panel, rows, x, width)
    for column in columns:
        yield svg.text(column.x, y + 9, svg.fitted(column.name, column.width, 10), size=10, ink=svg.FAINT)
    for place, (labels, values) in enumerate(rows[: int((height - 14) / LINE)]):
        for column in columns:
            yield from _cell(column, labels, values, y + 26 + place * LINE)


def _rows(panel: Panel, source: Source) -> list[Row]:
    named = panel.json["transformations"][1]["options"]["renameByName"]
    rows: dict[frozenset[tuple[str, str]], tuple[Mapping[str, str], dict[str, float]]] = {}
    for series in source.at_last(panel):
        row = rows.setdefault(frozenset(series.labels.items()), (series.labels, {}))
        row[1][named[f"Value #{series.query}"]] = series.last
    sort = [each["displayName"] for each in panel.json["options"].get("sortBy", ())]
    return sorted(rows.values(), key=lambda row: -row[1].get(sort[0], -1) if sort else 0)


def _columns(panel: Panel, rows: list[Row], x: float, width: float) -> list[Column]:
    """The column that the rows belong to first, at twice the width of the others."""
    options = panel.json["transformations"][1]["options"]
    first = min(options["indexByName"], key=options["indexByName"].get)
    labels = sorted({name for labels, _ in rows for name in labels}, key=lambda name: (name != first, name))
    counted = [name for name in dict.fromkeys(options["renameByName"].values()) if name not in options["excludeByName"]]
    names = [*labels, *counted]
    part = width / (len(names) + 1)
    styles = {
        rule["matcher"]["options"]: {value["id"]: value["value"] for value in rule["properties"]}
        for rule in panel.json["fieldConfig"]["overrides"]
    }
    return [
        Column(name, x + part * (place + 1 if place else 0), part * (2 if not place else 1) - 6, name in counted,
               styles.get(name, {}))
        for place, name in enumerate(names)
    ]  # fmt: skip


def _cell(column: Column, labels: Mapping[str, str], values: Mapping[str, float], y: float) -> Iterator[str]:
    said = labels.get(column.name, "")
    if column.counted:
        value = values.get(column.name, math.nan)
        said = shown(value, column.style["unit"], column.style.get("decimals"))
        if "thresholds" in column.style and math.isfinite(value):
            fill = judged(column.style["thresholds"]["steps"], value)
            yield svg.box(column.x - 3, y - 12, column.width, 16, "none" if fill == "transparent" else fill)
    yield svg.text(column.x, y, svg.fitted(said, column.width, 10), size=10)
