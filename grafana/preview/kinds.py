"""A picture of each kind of panel, within the box that it is given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from grafana.preview import svg
from grafana.preview.answers import Series, Source, colour, judged
from grafana.preview.tables import table
from grafana.preview.units import shown
from grafana.queries import Panel

BLUE = "#0072B2"
DEEP, PALE = (0, 32, 76), (255, 233, 69)  # the ends of cividis, in red, green and blue
SHADES = 12  # between them
LEGEND = 15  # pixels of a line of the legend
MOST = 5  # lines of it


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


def draw(panel: Panel, box: Box, source: Source) -> Iterator[str]:
    """The panel with its frame."""
    yield svg.box(*box, svg.PAPER, stroke=svg.GRID, radius=3)
    yield svg.text(box.x + 8, box.y + 17, svg.fitted(panel.title, box.width - 12, 12), size=12, bold=True)
    inside = Box(box.x + 8, box.y + 26, box.width - 16, box.height - 32)
    yield from KINDS[panel.kind](panel, inside, source)


def _settings(panel: Panel) -> tuple[Any, str, int | None]:
    settings = panel.json["fieldConfig"]["defaults"]
    return settings, settings["unit"], settings.get("decimals")


def _tile(panel: Panel, box: Box, source: Source) -> Iterator[str]:
    settings, unit, decimals = _settings(panel)
    series = source.at_last(panel)
    value = series[0].last if series else math.nan
    words = {float(key): each for mapping in settings.get("mappings", ()) for key, each in mapping["options"].items()}
    fill = judged(settings["thresholds"]["steps"], value) if series else svg.FAINT
    said = words[value]["text"] if value in words else shown(value, unit, decimals)
    yield svg.box(*box, fill, radius=3)
    size = 24 if len(said) < 7 else 19
    yield svg.text(
        box.x + box.width / 2, box.y + box.height / 2 + 9, said, size=size, ink=svg.PAPER, anchor="middle", bold=True
    )


def _lines(panel: Panel, box: Box, source: Source) -> Iterator[str]:
    settings, unit, _ = _settings(panel)
    series = sorted(source.over_time(panel), key=lambda each: -each.highest)
    if not series:
        yield svg.text(box.x + box.width / 2, box.y + box.height / 2, "no data here", ink=svg.FAINT, anchor="middle")
        return
    custom, named = settings["custom"], series[:MOST]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    plot = Box(box.x + 44, box.y, box.width - 48, box.height - LEGEND * len(named) - 8)
    top = settings.get("max") or _top(series, stacked=stacked) or 1
    for share in (0, 0.5, 1):
        y = plot.y + plot.height * (1 - share)
        yield svg.line([(plot.x, y), (plot.x + plot.width, y)], svg.GRID, width=1)
        yield svg.text(plot.x - 5, y + 4, shown(top * share, unit), size=10, ink=svg.FAINT, anchor="end")
    for step in settings.get("thresholds", {}).get("steps", [])[1:]:
        if custom.get("thresholdsStyle", {}).get("mode") == "dashed" and step["value"] < top:
            y = plot.y + plot.height * (1 - step["value"] / top)
            yield svg.line([(plot.x, y), (plot.x + plot.width, y)], step["color"], dashed=True)
    yield from (_stacks if stacked else _curves)(panel, series, Scale(plot, source, top))
    for place, each in enumerate(named):
        y = plot.y + plot.height + 18 + place * LEGEND
        yield svg.box(box.x + 2, y - 8, 12, 4, colour(panel, each, BLUE))
        yield svg.text(box.x + 20, y - 2, svg.fitted(each.name, box.width - 100, 10), size=10)
        yield svg.text(box.x + box.width, y - 2, shown(each.last, unit), size=10, anchor="end")


def _top(series: list[Series], *, stacked: bool) -> float:
    if not stacked:
        return max(each.highest for each in series)
    sums: dict[float, float] = {}
    for each in series:
        for at, value in each.known():
            sums[at] = sums.get(at, 0) + value
    return max(sums.values(), default=0)


class Scale(NamedTuple):
    """Where a value stands in a plot whose upper edge is `top`."""

    plot: Box
    source: Source
    top: float

    def x(self, at: float) -> float:
        return self.plot.x + self.plot.width * (1 + at / self.source.span)

    def y(self, value: float) -> float:
        return self.plot.y + self.plot.height * (1 - min(value / self.top, 1))


def _curves(panel: Panel, series: list[Series], scale: Scale) -> Iterator[str]:
    for each in series:
        yield svg.line([(scale.x(at), scale.y(value)) for at, value in each.known()], colour(panel, each, BLUE))


def _stacks(panel: Panel, series: list[Series], scale: Scale) -> Iterator[str]:
    below: dict[float, float] = {}
    width = scale.plot.width / scale.source.points
    for each in series:
        for at, value in each.known():
            if value:
                low = below.get(at, 0)
                below[at] = low + value
                y = scale.y(low + value)
                left = max(scale.x(at) - width, scale.plot.x)
                yield svg.box(left, y, width, max(scale.y(low) - y, 1), colour(panel, each, BLUE))


def _bars(panel: Panel, box: Box, source: Source) -> Iterator[str]:
    _, unit, decimals = _settings(panel)
    series = source.at_last(panel)[:8]
    if not series:
        yield svg.text(box.x + box.width / 2, box.y + box.height / 2, "none", ink=svg.FAINT, anchor="middle")
    longest = max((each.last for each in series), default=1)
    height = min(box.height / max(len(series), 1), 30)
    for place, each in enumerate(series):
        y = box.y + place * height
        yield svg.text(box.x, y + 10, svg.fitted(each.name, box.width - 60, 10), size=10)
        yield svg.box(box.x, y + 13, (box.width - 60) * each.last / longest, height - 17, BLUE)
        number = f"{each.last:.{decimals}f}" if decimals is not None else shown(each.last, unit)
        yield svg.text(box.x + box.width, y + height - 6, number, size=10, anchor="end")


def _table(panel: Panel, box: Box, source: Source) -> Iterator[str]:
    yield from table(panel, *box, source)


def _heat(panel: Panel, box: Box, source: Source) -> Iterator[str]:
    """Buckets hold what is below their bound: what fell between two of them is their difference."""
    series = sorted(source.over_time(panel), key=lambda each: float(each.labels["le"]))
    plot = Box(box.x + 44, box.y, box.width - 48, box.height - 6)
    cells: dict[tuple[float, int], float] = {}
    before: dict[float, float] = {}
    for place, each in enumerate(series):
        for at, value in each.points:
            if math.isfinite(value) and value > before.get(at, 0):
                cells[at, place] = value - before.get(at, 0)
                before[at] = value
    most, tall, wide = max(cells.values(), default=1), plot.height / max(len(series), 1), plot.width / source.points
    shades: dict[int, list[tuple[float, float]]] = {}
    for (at, place), value in cells.items():
        corner = plot.x + max(plot.width * (1 + at / source.span) - wide, 0), plot.y + plot.height - (place + 1) * tall
        shades.setdefault(round((value / most) ** 0.5 * SHADES), []).append(corner)
    for shade, corners in shades.items():
        share = shade / SHADES
        red, green, blue = (round(low + (high - low) * share) for low, high in zip(DEEP, PALE, strict=True))
        yield svg.tiles(corners, wide, tall - 1, f"#{red:02x}{green:02x}{blue:02x}")
    for place, each in enumerate(series):
        if place % 3 == 0:
            y = plot.y + plot.height - place * tall - 2
            yield svg.text(
                plot.x - 5, y, f"≤ {shown(float(each.labels['le']), 's')}", size=10, ink=svg.FAINT, anchor="end"
            )


KINDS = {"stat": _tile, "timeseries": _lines, "bargauge": _bars, "table": _table, "heatmap": _heat}
