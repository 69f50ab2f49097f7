"""Whether scaling keeps up: what there is to do, what runs, how many workers there are and were asked for."""

from __future__ import annotations

from typing import Any

from grafana.builder import palette
from grafana.builder.limits import TARGET, of_alert
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, stat_
from grafana.builder.queues import TARGETS
from grafana.builder.tables import Column, table_

TITLE = "Autoscaling"
WHAT = "Whether scaling keeps up: what is queued, what runs, how many workers there are, and what was decided."
VARIABLES = ("queue",)
HERE, THERE = 'queue=~"$queue"', 'worker=~"$queue"'
# Both KEDA's autoscalers and those of CPU are called after their worker; kube-state-metrics tells of them.
SCALER = 'horizontalpodautoscaler=~"(keda-hpa-)?worker-($queue)"'
SCALED = 'scaledObject=~"worker-($queue)"'
CEILING = of_alert("ScalingAtCeiling", '(.+)")')
UP = f'count by (worker) (up{{job="worker", {THERE}}} == 1)'
BUSY = f'label_replace(worker:celery_slots_busy:sum{{{THERE}}}, "queue", "$1", "worker", "(.+)")'
MOST = f"max by (queue) (celery_queue_slots_max{{{HERE}}})"


def rows() -> list[tuple[str, list[Any]]]:
    return [("Now", [*tiles(), queues()]), ("Work and workers", work()), ("Decisions, on Kubernetes", decisions())]


def tiles() -> list[Any]:
    return [
        stat_(
            "To do",
            "What waits and what runs: workers are scaled on this.",
            f"sum(queue:celery_work:max{{{HERE}}})",
            "short",
            span=6,
        ),
        stat_("Running", "Tasks in a slot.", f"sum(worker:celery_slots_busy:sum{{{THERE}}})", "short", span=6),
        stat_(
            "Workers",
            "That Prometheus reaches. None is right where nothing is to do.",
            f'sum(up{{job="worker", {THERE}}})',
            "short",
            links={"Workers": to("workers", worker="${queue}")},
            span=6,
        ),
        stat_(
            "Of the ceiling",
            "Busy slots, of all that scale.max of queues.toml allows; of the queue that is nearest to it.",
            f"max({BUSY} / on (queue) {MOST})",
            "percentunit",
            limits=CEILING,
            decimals=0,
            span=6,
        ),
    ]


def queues() -> Any:
    columns = [
        Column("waiting", f"queue:celery_ready:max{{{HERE}}}", "short"),
        Column("to do", f"queue:celery_work:max{{{HERE}}}", "short"),
        Column("running", f"sum by (queue) ({BUSY})", "short"),
        Column("of the ceiling", f"sum by (queue) ({BUSY}) / on (queue) {MOST}", "percentunit", CEILING, 0),
        Column("workers", f'label_replace({UP}, "queue", "$1", "worker", "(.+)")', "short"),
        Column(
            "oldest, of target",
            f"queue:celery_oldest_seconds:max{{{HERE}}} / on (queue) {TARGETS}",
            "percentunit",
            TARGET,
            0,
        ),
    ]
    text = "A row for each queue, the fullest first. A click on its name opens the queue, or its workers."
    links = {
        "This queue": to("queue", queue="${__data.fields.queue}"),
        "Its workers": to("workers", worker="${__data.fields.queue}"),
    }
    return table_("Queues", text, "queue", columns, links=links, sort="to do", span=24, hidden=["worker"])


def work() -> list[Any]:
    return [
        lines(
            "Queued",
            "Messages that no worker holds yet.",
            [Query(f"queue:celery_ready:max{{{HERE}}}", "{{queue}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "Running",
            "Busy slots of each queue's workers.",
            [Query(f"worker:celery_slots_busy:sum{{{THERE}}}", "{{worker}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines("Workers", "That Prometheus reaches.", [Query(UP, "{{worker}}")], "short", colours=palette.QUEUES),
        lines(
            "Of the ceiling",
            "Busy slots, of all that scale.max allows. At it, more work only waits.",
            [Query(f"sum by (queue) ({BUSY}) / on (queue) {MOST}", "{{queue}}")],
            "percentunit",
            limits=CEILING,
            colours=palette.QUEUES,
        ),
        lines(
            "Workers that came and went",
            "By how much their number differed within 5 minutes, whoever decided that. What goes up and down without "
            "end is a scaler that cannot decide.",
            [Query(f"max_over_time(({UP})[5m:15s]) - min_over_time(({UP})[5m:15s])", "{{worker}}")],
            "short",
            colours=palette.QUEUES,
            bars=True,
        ),
        lines(
            "Oldest message against its target",
            "Whether scaling was in time. 1 is the age_target of queues.toml.",
            [Query(f"queue:celery_oldest_seconds:max{{{HERE}}} / on (queue) {TARGETS}", "{{queue}}")],
            "percentunit",
            limits=TARGET,
            colours=palette.QUEUES,
        ),
    ]


def decisions() -> list[Any]:
    def named(metric: str) -> str:
        wanted = f"max by (horizontalpodautoscaler) ({metric}{{{SCALER}}})"
        return f'label_replace({wanted}, "worker", "$1", "horizontalpodautoscaler", "(?:keda-hpa-)?worker-(.+)")'

    return [
        lines(
            "Replicas asked for",
            "By the HorizontalPodAutoscaler, KEDA's too; from kube-state-metrics.",
            [Query(named("kube_horizontalpodautoscaler_status_desired_replicas"), "{{worker}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "Replicas allowed",
            "At most, as scale.max of queues.toml says; from kube-state-metrics.",
            [Query(named("kube_horizontalpodautoscaler_spec_max_replicas"), "{{worker}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "What KEDA read, and its errors",
            "The value that it scales on by ScaledObject, and how often it could not read it: "
            "then it keeps what there is.",
            [
                Query(f"max by (scaledObject) (keda_scaler_metrics_value{{{SCALED}}})", "{{scaledObject}}"),
                Query(
                    f"sum(increase(keda_scaled_object_errors_total{{{SCALED}}}[$__rate_interval]))",
                    "errors",
                    palette.VERMILION,
                ),
            ],
            "short",
        ),
    ]
