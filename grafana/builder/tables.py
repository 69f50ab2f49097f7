"""Tables: a row for each queue, task or worker, a query for each column, and a click on the name leads there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.builder.limits import NONE, Limits
from grafana.builder.links import PROMETHEUS, link, runbook
from grafana.builder.panels import Links


class Column(NamedTuple):
    name: str
    expr: str
    unit: str
    limits: Limits = NONE
    decimals: int | None = None


def table_(
    title: str,
    text: str,
    rows: str,
    columns: Sequence[Column],
    *,
    links: Links,
    by: str = "",
    sort: str = "",
    span: int = 12,
    height: int = 8,
    hidden: Sequence[str] = (),
) -> Any:
    """rows: the label that a row belongs to. by: all labels that tell rows apart; whatever else a query returns is
    aggregated away, or its rows would not meet those of the other columns. sort: the column whose largest comes first.
    hidden: labels not to show.
    """
    panel = table.Panel().title(title).description(text).datasource(PROMETHEUS).unit("none").span(span).height(height)
    panel.thresholds(NONE.thresholds())
    names = {f"Value #{_letter(place)}": column.name for place, column in enumerate(columns)}
    if len(columns) == 1:
        names["Value"] = columns[0].name  # what Grafana calls it when there is one query
    for place, column in enumerate(columns):
        expr = f"max by ({by or rows}) ({column.expr})"
        query = Dataquery().expr(expr).instant().format(PromQueryFormat.TABLE).datasource(PROMETHEUS)
        panel.with_target(query.ref_id(_letter(place)))
        panel.override_by_name(column.name, _dressed(column))
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    shown = {"Time": True} | dict.fromkeys(hidden, True)
    order = {name: place for place, name in enumerate([rows, *names])}
    panel.with_transformation(
        DataTransformerConfig(
            id_val="organize", options={"excludeByName": shown, "indexByName": order, "renameByName": names}
        )
    )
    panel.override_by_name(
        rows, [DynamicConfigValue("links", [link(name, url).build() for name, url in links.items()])]
    )
    alerts = dict.fromkeys(column.limits.alert for column in columns if column.limits.alert)
    panel.links([runbook(alert) for alert in alerts])
    return panel.sort_by([TableSortByFieldState().display_name(sort).desc(True)]) if sort else panel


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def _dressed(column: Column) -> list[DynamicConfigValue]:
    """Cells whose value is wrong are coloured; the others are plain, so that the eye finds them."""
    values = [DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        values.append(DynamicConfigValue("decimals", column.decimals))
    if column.limits is not NONE:
        plain, *wrong = column.limits.thresholds().build().steps
        plain.color = "transparent"
        cells = {"type": common.TableCellDisplayMode.COLOR_BACKGROUND, "mode": "basic"}
        values.append(DynamicConfigValue("thresholds", {"mode": "absolute", "steps": [plain, *wrong]}))
        values.append(DynamicConfigValue("custom.cellOptions", cells))
    return values
