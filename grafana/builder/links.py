"""Where a click leads: from panel to dashboard with what was clicked chosen there, and to what to do."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import (
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.builder.limits import alerts

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")
# Where people read docs/runbooks: edit, then `make render`. Each dashboard can be told another with ?var-runbooks=URL.
RUNBOOKS = "https://github.com/your-team/celery-blueprint/blob/main/docs/runbooks"
TAG = "celery"
SHOWN = ""  # above the panels; the SDK would put links into a menu
# What `All` stands for: everything, what is gone by now too, and no list of a hundred tasks in each query.
ALL = ".*"
SOURCES = {
    "queue": "label_values(celery_queue_age_target_seconds, queue)",
    "worker": 'label_values(celery_slots{job="worker"}, worker)',
    "task": 'label_values(celery_tasks_received_total{queue=~"$queue"}, task)',
}
LABELS = {"queue": "Queue", "worker": "Worker", "task": "Task"}


def uid(name: str) -> str:
    return f"celery-{name}"


def to(name: str, **chosen: str) -> str:
    """The address of a dashboard, at the time that is shown here, with variables set to what was clicked."""
    variables = "".join(f"&var-{variable}={value}" for variable, value in chosen.items())
    return f"/d/{uid(name)}?${{__url_time_range}}{variables}"


def link(title: str, url: str, *, away: bool = False) -> DashboardLink:
    return DashboardLink(title).type(DashboardLinkType.LINK).url(url).target_blank(away).placement(SHOWN)


def runbook(alert: str) -> DashboardLink:
    """To what to do about an alert. Raises KeyError for one that does not exist."""
    page = alerts()[alert]["annotations"]["runbook"].removeprefix("docs/runbooks/")
    return link(f"Runbook: {alert}", f"${{runbooks:raw}}/{page}", away=True)


def others() -> DashboardLink:
    """All dashboards of the set, with time and variables kept."""
    every = DashboardLink("Celery").type(DashboardLinkType.DASHBOARDS).tags([TAG]).placement(SHOWN)
    return every.include_vars(True).keep_time(True)


def datasource() -> DatasourceVariable:
    return DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def runbooks() -> TextBoxVariable:
    return TextBoxVariable("runbooks").default_value(RUNBOOKS).hide(VariableHide.HIDE_VARIABLE)


def choice(name: str) -> QueryVariable:
    """A variable of SOURCES: one, several, or all of them."""
    everything = VariableOption(selected=True, text="All", value="$__all")
    return (
        QueryVariable(name)
        .label(LABELS[name])
        .datasource(PROMETHEUS)
        .query(SOURCES[name])
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(ALL)
        .current(everything)
    )
