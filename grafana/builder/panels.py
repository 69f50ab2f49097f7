"""The kinds of panels that the dashboards are made of, each with title, description and unit, in one style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.builders.heatmap import HeatmapColorOptions, YAxisConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.builder.limits import NONE, Limits
from grafana.builder.links import PROMETHEUS, link, runbook
from grafana.builder.palette import BLUE, SERIES, SKY

HEIGHT = 8
DASHES = [10, 6]  # pixels of line and gap, where a colour comes for the second time


class Query(NamedTuple):
    """legend: what the series is called; `{{label}}` stands for a label's value. colour: of its only series."""

    expr: str
    legend: str = ""
    colour: str = ""


Links = Mapping[str, str]  # address by title


def stat_(
    title: str,
    text: str,
    expr: str,
    unit: str,
    *,
    limits: Limits = NONE,
    words: Mapping[int, str] | None = None,
    links: Links | None = None,
    span: int = 3,
    decimals: int | None = None,
) -> Any:
    """One number or word on a coloured tile. words: what to say for 0 and 1."""
    panel = _dressed(stat.Panel(), title, text, unit, limits=limits, links=links).span(span).height(4)
    panel.thresholds(limits.thresholds()).color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel.color_mode(common.BigValueColorMode.BACKGROUND_SOLID).graph_mode(common.BigValueGraphMode.NONE)
    panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"])).no_value("-")
    if decimals is not None:
        panel.decimals(decimals)
    if words:
        colours = dict(limits.steps)
        panel.mappings([ValueMap({str(value): _word(word, value, colours) for value, word in words.items()})])
    return panel.with_target(_instant(Query(expr, title)))


def _word(word: str, value: int, colours: Mapping[float | None, str]) -> ValueMappingResult:
    return ValueMappingResult(text=word, color=colours.get(value) or colours[None], index=value)


def lines(
    title: str,
    text: str,
    queries: Sequence[Query],
    unit: str,
    *,
    limits: Limits = NONE,
    links: Links | None = None,
    colours: Mapping[str, str] | None = None,
    span: int = 8,
    stacked: bool = False,
    bars: bool = False,
    top: float | None = None,
) -> Any:
    """Series over time; with `limits`, a dashed line where it gets wrong. colours: of series by their legend."""
    panel = _dressed(timeseries.Panel(), title, text, unit, limits=limits, links=links).span(span).height(HEIGHT)
    panel.min(0).line_width(2).fill_opacity(60 if bars else 25 if stacked else 8).show_points(
        common.VisibilityMode.NEVER
    )
    panel.color_scheme(FieldColor().mode(FieldColorModeId.SHADES).fixed_color(BLUE))
    panel.tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    panel.legend(
        VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .calcs(["lastNotNull", "max"])
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel.thresholds(limits.thresholds())
    if limits is not NONE:
        panel.thresholds_style(GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))
    if top is not None:
        panel.max(top)
    if bars:
        panel.draw_style(common.GraphDrawStyle.BARS)
    if stacked or bars:
        panel.stacking(StackingConfig().mode(common.StackingMode.NORMAL))
    for place, query in enumerate(queries):
        panel.with_target(_ranged(query).ref_id(chr(ord("A") + place)))
        if query.colour:
            panel.override_by_query(chr(ord("A") + place), [_fixed(query.colour)])
    for place, (name, colour) in enumerate((colours or {}).items()):
        panel.override_by_name(name, [_fixed(colour), *([_dashed()] if place >= len(SERIES) else [])])
    return panel


def ranks(
    title: str,
    text: str,
    query: Query,
    unit: str,
    *,
    limits: Limits = NONE,
    links: Links | None = None,
    span: int = 8,
    decimals: int | None = None,
) -> Any:
    """Names with bars, the longest first: the query returns them in that order."""
    panel = _dressed(bargauge.Panel(), title, text, unit, limits=limits, links=links).span(span).height(HEIGHT)
    panel.thresholds(limits.thresholds()).color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS)).min(0)
    panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    panel.value_mode(common.BarGaugeValueMode.TEXT).show_unfilled(False).no_value("none")
    panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    if decimals is not None:
        panel.decimals(decimals)
    return panel.with_target(_instant(query))


def spread(title: str, text: str, expr: str, unit: str, *, links: Links | None = None, span: int = 12) -> Any:
    """How many fell into each bucket of a histogram, over time; the colours are cividis', made for the colour-blind."""
    panel = _dressed(heatmap.Panel(), title, text, unit, links=links).span(span).height(HEIGHT)
    panel.color(HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Cividis").steps(32))
    panel.y_axis(YAxisConfig().unit(unit)).exemplars_color(SKY)
    return panel.with_target(_ranged(Query(expr, "{{le}}")).format(PromQueryFormat.HEATMAP))


def _dressed(panel: Any, title: str, text: str, unit: str, *, limits: Limits = NONE, links: Links | None) -> Any:
    """Whatever has limits of an alert leads to its runbook."""
    panel.title(title).description(text).unit(unit).datasource(PROMETHEUS)
    if limits.alert:
        panel.links([runbook(limits.alert)])
    if links:
        panel.data_links([link(name, url) for name, url in links.items()])
    return panel


def _ranged(query: Query) -> Dataquery:
    return (
        Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .range()
        .exemplar("_bucket" in query.expr)
        .datasource(PROMETHEUS)
    )


def _instant(query: Query) -> Dataquery:
    return Dataquery().expr(query.expr).legend_format(query.legend).instant().datasource(PROMETHEUS).ref_id("A")


def _fixed(colour: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _dashed() -> DynamicConfigValue:
    return DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": DASHES})
