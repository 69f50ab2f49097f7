"""The workers: how busy, what they hold, what dies under them, whether they keep their broker."""

from __future__ import annotations

from typing import Any

from celery_runtime.health import STUCK_AFTER
from grafana.builder import palette
from grafana.builder.limits import Limits, flag, of_alert
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, stat_
from grafana.builder.tables import Column, table_

TITLE = "Workers"
WHAT = "Workers by the queue in whose name they run: how busy, what they hold, what dies under them."
VARIABLES = ("worker",)
HERE = 'job="worker", worker=~"$worker"'
LOST, STARTS = of_alert("PoolChildrenLost"), of_alert("WorkerRestarts", whole=True)
OVERDUE, STUCK = of_alert("TaskBeyondLimit"), flag("WorkerStuck", bad=0)
STILL = Limits("WorkerStuck", ((None, palette.WELL), (STUCK_AFTER, palette.CRITICAL)))


def rows() -> list[tuple[str, list[Any]]]:
    return [
        ("Now", [*tiles(), workers_table()]),
        ("Work", work()),
        ("Trouble", trouble()),
        ("What they are", [builds()]),
    ]


def tiles() -> list[Any]:
    return [
        stat_("Workers", "That Prometheus reaches.", f"sum(up{{{HERE}}})", "short", span=4),
        stat_(
            "Busy slots",
            "Of all slots, those that run a task.",
            f"sum(celery_slots_busy{{{HERE}}}) / sum(celery_slots{{{HERE}}})",
            "percentunit",
            decimals=0,
            span=4,
        ),
        stat_(
            "Held",
            "Messages that workers hold and do not run yet, those of a later time among them.",
            f"sum(celery_prefetched{{{HERE}}})",
            "short",
            span=4,
        ),
        stat_(
            "Oldest task",
            "For how long the oldest task runs.",
            f"max(celery_oldest_task_seconds{{{HERE}}})",
            "s",
            decimals=0,
            span=4,
        ),
        stat_(
            "Beyond its limit",
            "By how much a running task is beyond its hard time limit.",
            f"max(celery_overdue_task_seconds{{{HERE}}})",
            "s",
            limits=OVERDUE,
            decimals=0,
            span=4,
        ),
        stat_(
            "Main loops",
            "A worker whose loop stands still takes no tasks and answers no command.",
            f"min(celery_loop_alive{{{HERE}}})",
            "bool",
            limits=STUCK,
            words={0: "STUCK", 1: "turning"},
            span=4,
        ),
    ]


def workers_table() -> Any:
    def per(function: str, metric: str) -> str:
        return f"{function} by (worker) ({metric})"

    columns = [
        Column("up", per("sum", f"up{{{HERE}}}"), "short"),
        Column("slots", per("sum", f"celery_slots{{{HERE}}}"), "short"),
        Column("busy", per("sum", f"celery_slots_busy{{{HERE}}}"), "short"),
        Column("held", per("sum", f"celery_prefetched{{{HERE}}}"), "short"),
        Column("oldest task", per("max", f"celery_oldest_task_seconds{{{HERE}}}"), "s", decimals=0),
        Column("beyond limit", per("max", f"celery_overdue_task_seconds{{{HERE}}}"), "s", OVERDUE, 0),
        Column(
            "lost, 15 min",
            per("sum", f'increase(celery_child_restarts_total{{{HERE}, reason="lost"}}[15m])'),
            "short",
            LOST,
            0,
        ),
        Column(
            "starts, 30 min", per("max", f"changes(celery_start_timestamp_seconds{{{HERE}}}[30m])"), "short", STARTS
        ),
        Column("reconnects, 1 h", per("sum", f"increase(celery_reconnects_total{{{HERE}}}[1h])"), "short", decimals=0),
    ]
    text = "A row for the workers of each queue. A click on the name opens the queue, or how it is scaled."
    links = {
        "Its queue": to("queue", queue="${__data.fields.worker}"),
        "Its scaling": to("autoscaling", queue="${__data.fields.worker}"),
    }
    return table_("Each queue's workers", text, "worker", columns, links=links, sort="busy", span=24)


def work() -> list[Any]:
    return [
        lines(
            "Busy slots",
            "Tasks that run.",
            [Query(f"sum by (worker) (celery_slots_busy{{{HERE}}})", "{{worker}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "Slots",
            "Tasks that could run at once.",
            [Query(f"sum by (worker) (celery_slots{{{HERE}}})", "{{worker}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "Held",
            "Messages that workers hold and do not run yet.",
            [Query(f"sum by (worker) (celery_prefetched{{{HERE}}})", "{{worker}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "Oldest task",
            "For how long the oldest task of each worker runs.",
            [Query(f"max by (worker) (celery_oldest_task_seconds{{{HERE}}})", "{{worker}}")],
            "s",
            colours=palette.QUEUES,
        ),
        lines(
            "Beyond its limit",
            "By how much a task is beyond its hard time limit.",
            [Query(f"max by (worker) (celery_overdue_task_seconds{{{HERE}}})", "{{worker}}")],
            "s",
            limits=OVERDUE,
            colours=palette.QUEUES,
        ),
        lines(
            "Workers by state",
            "Draining: told to stop, and finishing what runs. Reconnecting: the broker is away.",
            [Query(f"sum by (state) (celery_state{{{HERE}}})", "{{state}}")],
            "short",
            colours=palette.PHASES,
            stacked=True,
        ),
    ]


def trouble() -> list[Any]:
    return [
        lines(
            "Pool processes replaced",
            "Recycled: used up, as set. By time_limit: over its hard limit. Lost: killed by somebody else.",
            [
                Query(
                    f"sum by (reason) (increase(celery_child_restarts_total{{{HERE}}}[$__rate_interval]))", "{{reason}}"
                )
            ],
            "short",
            limits=LOST,
            colours=palette.CHILDREN,
            bars=True,
        ),
        lines(
            "Starts",
            "Of one and the same worker in half an hour; replaced ones begin once.",
            [Query(f"max by (worker) (changes(celery_start_timestamp_seconds{{{HERE}}}[30m]))", "{{worker}}")],
            "short",
            limits=STARTS,
            colours=palette.QUEUES,
        ),
        lines(
            "Main loop's last sign",
            "Seconds since the main loop turned; beyond a minute it counts as stuck.",
            [Query(f"time() - min by (worker) (celery_last_tick_timestamp_seconds{{{HERE}}})", "{{worker}}")],
            "s",
            limits=STILL,
            colours=palette.QUEUES,
        ),
        lines(
            "Connections lost",
            "Connections to the broker that were lost and made again.",
            [Query(f"sum by (worker) (increase(celery_reconnects_total{{{HERE}}}[$__rate_interval]))", "{{worker}}")],
            "short",
            colours=palette.QUEUES,
            bars=True,
            links={"Broker": to("broker")},
        ),
        lines(
            "Lease",
            "Renewals a second of the claim on what a worker holds; RabbitMQ needs none.",
            [Query(f"sum by (worker) (rate(celery_lease_renewals_total{{{HERE}}}[$__rate_interval]))", "{{worker}}")],
            "ops",
            colours=palette.QUEUES,
        ),
        lines(
            "Lease lost, events dropped",
            "Messages that another worker may run while this one still does, and events that were not sent.",
            [
                Query(
                    f"sum(increase(celery_lease_lost_total{{{HERE}}}[$__rate_interval]))",
                    "lease lost",
                    palette.VERMILION,
                ),
                Query(
                    f"sum(increase(celery_events_dropped_total{{{HERE}}}[$__rate_interval]))", "events", palette.BLUE
                ),
            ],
            "short",
            bars=True,
        ),
    ]


def builds() -> Any:
    """Of everything that runs, so that half a deploy shows."""
    by = "job, worker, celery_runtime, celery, kombu, python"
    return table_(
        "Versions",
        "What each process is made of; two rows of one worker are half a deploy.",
        "worker",
        [Column("processes", f"count by ({by}) (celery_build_info)", "short")],
        links={"Its queue": to("queue", queue="${__data.fields.worker}")},
        by=by,
        span=24,
        height=7,
    )
