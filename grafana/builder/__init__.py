"""Grafana's dashboards from Python: one module each, which says what its rows of panels are."""

from __future__ import annotations

import json
from types import ModuleType

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

from grafana.builder import autoscaling, beat, broker, overview, queues, task, workers
from grafana.builder.links import TAG, choice, datasource, others, runbooks, uid

DASHBOARDS = {
    "overview": overview,
    "queue": queues,
    "task": task,
    "workers": workers,
    "broker": broker,
    "beat": beat,
    "autoscaling": autoscaling,
}


def text(name: str, module: ModuleType) -> str:
    """The JSON of a dashboard as it is committed. module: has TITLE, WHAT, VARIABLES and rows()."""
    dashboard = Dashboard(f"Celery: {module.TITLE}").uid(uid(name)).description(module.WHAT).tags([TAG]).readonly()
    dashboard.time("now-1h", "now").refresh("30s").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    dashboard.link(others())
    for variable in (datasource(), *map(choice, module.VARIABLES), runbooks()):
        dashboard.with_variable(variable)
    for title, panels in module.rows():
        dashboard.with_row(Row(title))
        for panel in panels:
            dashboard.with_panel(panel)
    return json.dumps(dashboard.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
