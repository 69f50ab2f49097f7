"""One task in depth: how often it runs, how it ends, how long it takes and waits."""

from __future__ import annotations

from typing import Any

from grafana.builder import palette
from grafana.builder.expressions import RUN, WAIT, p95, risen
from grafana.builder.limits import of_alert
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, spread, stat_
from grafana.builder.queues import quantiles
from grafana.builder.tables import Column, table_

TITLE = "Task"
WHAT = "One task in depth, several, or all: how often it runs, how it ends, how long it takes and waits."
VARIABLES = ("queue", "task")
QUEUE = 'queue=~"$queue"'
HERE = f'{QUEUE}, task=~"$task"'
AGAIN = risen(f"celery_tasks_redelivered_total{{{HERE}}}", "task, queue", "15m")
FAILS = of_alert("TaskFailures", "task:celery_failures:ratio5m")
STORM = of_alert("RetryStorm", "task:celery_retried:rate5m")


def rows() -> list[tuple[str, list[Any]]]:
    return [("Now", [*tiles(), tasks_table()]), ("How it ends", ends()), ("How long it takes", takes())]


def share(recorded: str) -> str:
    """Of all runs of 5 minutes; 0 without any."""
    return f"sum({recorded}{{{HERE}}}) / (sum(task:celery_ended:rate5m{{{HERE}}}) > 0) or vector(0)"


def tiles() -> list[Any]:
    return [
        stat_(
            "Ended",
            "Runs a second over 5 minutes, however they ended.",
            f"sum(task:celery_ended:rate5m{{{HERE}}})",
            "ops",
            span=4,
            decimals=2,
        ),
        stat_(
            "Failing",
            "Of the runs of 5 minutes, those that failed or were rejected.",
            share("task:celery_failed:rate5m"),
            "percentunit",
            limits=FAILS,
            decimals=1,
            span=4,
        ),
        stat_(
            "Retried",
            "Of the runs of 5 minutes, those that ended in a retry.",
            share("task:celery_retried:rate5m"),
            "percentunit",
            limits=STORM,
            decimals=1,
            span=4,
        ),
        stat_(
            "Run, 95 %",
            "19 of 20 runs of 5 minutes were faster, as far as the buckets tell.",
            p95(RUN, HERE),
            "s",
            decimals=2,
            span=4,
        ),
        stat_(
            "Wait, 95 %",
            "19 of 20 started sooner after they were published, or due: of the queue, whatever the task.",
            p95(WAIT, QUEUE),
            "s",
            decimals=2,
            span=4,
        ),
        stat_(
            "Delivered again",
            "Deliveries of 15 minutes that were not the first.",
            f"sum({AGAIN}) or vector(0)",
            "short",
            decimals=0,
            span=4,
        ),
    ]


def tasks_table() -> Any:
    by = f"sum by (task, queue) (task:celery_ended:rate5m{{{HERE}}})"
    columns = [
        Column("ended/s", by, "short", decimals=3),
        Column(
            "failing",
            f"sum by (task, queue) (task:celery_failed:rate5m{{{HERE}}}) / ({by} > 0)",
            "percentunit",
            FAILS,
            1,
        ),
        Column(
            "retried",
            f"sum by (task, queue) (task:celery_retried:rate5m{{{HERE}}}) / ({by} > 0)",
            "percentunit",
            STORM,
            1,
        ),
        Column("run, 95 %", p95(RUN, HERE, "le, task, queue") + " >= 0", "s", decimals=2),
        Column("slots", f"sum by (task, queue) (rate(celery_task_run_seconds_sum{{{HERE}}}[5m]))", "short", decimals=2),
        Column(
            "again, 15 min",
            AGAIN,
            "short",
            decimals=0,
        ),
    ]
    text = "A row for each task, first those that take most slots. A click on a name opens the task, or its queue."
    links = {
        "This task": to("task", task="${__data.fields.task}", queue="${__data.fields.queue}"),
        "Its queue": to("queue", queue="${__data.fields.queue}"),
    }
    return table_("Tasks", text, "task", columns, links=links, by="task, queue", sort="slots", span=24, height=10)


def ends() -> list[Any]:
    ended = f"sum by (outcome) (rate(celery_tasks_ended_total{{{HERE}}}[$__rate_interval]))"
    past = (
        f"sum(avg_over_time(task:celery_failed:rate5m{{{HERE}}}[1d] offset 30m)) "
        f"/ (sum(avg_over_time(task:celery_ended:rate5m{{{HERE}}}[1d] offset 30m)) > 0)"
    )
    rate = "sum(rate(celery_tasks_{}_total{{{}}}[$__rate_interval]))"
    return [
        lines(
            "Ended",
            "Runs a second by what became of them.",
            [Query(ended, "{{outcome}}")],
            "ops",
            colours=palette.ENDS,
            stacked=True,
        ),
        lines(
            "Failing, and a day before",
            "The alert compares both: a task that always fails sometimes is no news.",
            [Query(share("task:celery_failed:rate5m"), "now", palette.VERMILION), Query(past, "a day", palette.BLUE)],
            "percentunit",
            limits=FAILS,
        ),
        lines(
            "Retried",
            "Over half of them means that what the task depends on is away or refuses.",
            [Query(share("task:celery_retried:rate5m"), "retried", palette.ORANGE)],
            "percentunit",
            limits=STORM,
        ),
        lines(
            "Delivered, started, delivered again",
            "Deliveries a second. What is delivered and not started is held.",
            [
                Query(rate.format("received", HERE), "delivered", palette.BLUE),
                Query(rate.format("started", HERE), "started", palette.GREEN),
                Query(f"{rate.format('redelivered', HERE)} or vector(0)", "again", palette.VERMILION),
            ],
            "ops",
            span=12,
            links={"Queue": to("queue", queue="${queue}")},
        ),
        lines(
            "Given up",
            "Runs whose fallback took over after the last try; in pools of threads and solo only.",
            [Query('sum by (task) (increase(celery_fallbacks_total{task=~"$task"}[$__rate_interval]))', "{{task}}")],
            "short",
            span=12,
            bars=True,
        ),
    ]


def takes() -> list[Any]:
    buckets = "sum by (le) (increase({}_bucket{{{}}}[$__rate_interval]))"
    return [
        lines(
            "Run",
            "From start to end. The dots are the slowest tasks, by id.",
            quantiles(RUN, HERE),
            "s",
            span=12,
        ),
        lines(
            "Wait",
            "From publishing, or the time that a task was for, to its start: of the queue, whatever the task.",
            quantiles(WAIT, QUEUE),
            "s",
            span=12,
        ),
        spread("Runs by their time", "How many runs fell into each bucket.", buckets.format(RUN, HERE), "s"),
        spread(
            "Waits by their time",
            "How many starts fell into each bucket: of the queue, whatever the task.",
            buckets.format(WAIT, QUEUE),
            "s",
        ),
    ]
