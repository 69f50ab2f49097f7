"""One queue in depth: what waits, for how long, who works on it, what becomes of it."""

from __future__ import annotations

from typing import Any

from grafana.builder import palette
from grafana.builder.expressions import RUN, STEP, WAIT, risen
from grafana.builder.limits import TARGET, of_alert
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, stat_
from grafana.builder.tables import Column, table_

TITLE = "Queue"
WHAT = "One queue in depth, several, or all: what waits and for how long, who works on it, what becomes of it."
VARIABLES = ("queue",)
HERE = 'queue=~"$queue"'
TARGETS = "max by (queue) (celery_queue_age_target_seconds)"
QUANTILES = ((0.5, "half", palette.BLUE), (0.95, "95 %", palette.ORANGE), (0.99, "99 %", palette.VERMILION))


def rows() -> list[tuple[str, list[Any]]]:
    return [("Now", [*tiles(), queues_table(HERE)]), ("Over time", [*flow(), *times()]), ("Trouble", trouble())]


def quantiles(metric: str, where: str) -> list[Query]:
    """Half, 95 % and 99 % of a histogram of seconds."""
    buckets = f"sum by (le) (rate({metric}_bucket{{{where}}}[$__rate_interval]))"
    return [Query(f"histogram_quantile({part}, {buckets})", name, colour) for part, name, colour in QUANTILES]


def tiles() -> list[Any]:
    return [
        stat_(
            "Waiting", "Messages that no worker holds yet.", f"sum(queue:celery_ready:max{{{HERE}}})", "short", span=4
        ),
        stat_(
            "In flight",
            "Messages that a worker holds: those that run, and those that it keeps for later.",
            f"sum(queue:celery_in_flight:max{{{HERE}}})",
            "short",
            span=4,
        ),
        stat_(
            "Oldest message",
            "For how long it has waited since it was due, in its queue's age_target.",
            f"max(queue:celery_oldest_seconds:max{{{HERE}}} / on (queue) {TARGETS})",
            "percentunit",
            limits=TARGET,
            decimals=0,
            span=4,
        ),
        stat_(
            "Workers",
            "That consume. None while something waits wakes somebody after 3 minutes.",
            f"sum(queue:celery_consumers:max{{{HERE}}})",
            "short",
            span=4,
            links={"Workers": to("workers", worker="${queue}")},
        ),
        stat_(
            "Dead letters",
            "Messages that no worker could run. They are kept: make dead-letters.",
            f"sum(queue:celery_dead_letters:max{{{HERE}}})",
            "short",
            limits=of_alert("DeadLetters", whole=True),
            span=4,
        ),
        stat_(
            "Time to empty",
            "At the speed of the last 5 minutes, were nothing more to come. 0 when nothing waits.",
            f"sum(queue:celery_ready:max{{{HERE}}}) / (sum(task:celery_ended:rate5m{{{HERE}}}) > 0) "
            f"or sum(queue:celery_ready:max{{{HERE}}}) * 0",
            "s",
            span=4,
        ),
    ]


def queues_table(where: str = "") -> Any:
    """A row for each queue; the Overview has it too."""
    chosen = f"{{{where}}}" if where else ""
    columns = [
        Column("waiting", f"queue:celery_ready:max{chosen}", "short"),
        Column("in flight", f"queue:celery_in_flight:max{chosen}", "short"),
        Column("oldest", f"queue:celery_oldest_seconds:max{chosen}", "s", decimals=0),
        Column(
            "of target", f"queue:celery_oldest_seconds:max{chosen} / on (queue) {TARGETS}", "percentunit", TARGET, 0
        ),
        Column("workers", f"queue:celery_consumers:max{chosen}", "short"),
        Column("ended/s", f"sum by (queue) (task:celery_ended:rate5m{chosen})", "short", decimals=2),
        Column(
            "failing",
            f"sum by (queue) (task:celery_failed:rate5m{chosen}) "
            f"/ (sum by (queue) (task:celery_ended:rate5m{chosen}) > 0)",
            "percentunit",
            of_alert("TaskFailures", "task:celery_failures:ratio5m"),
            1,
        ),
        Column("dead", f"queue:celery_dead_letters:max{chosen}", "short", of_alert("DeadLetters", whole=True)),
    ]
    text = "A row for each queue, the oldest message first. A click on its name opens the queue."
    links = {
        "This queue": to("queue", queue="${__data.fields.queue}"),
        "Its workers": to("workers", worker="${__data.fields.queue}"),
        "Its scaling": to("autoscaling", queue="${__data.fields.queue}"),
    }
    return table_("Queues", text, "queue", columns, links=links, sort="of target", span=24 if where else 12)


def flow() -> list[Any]:
    ended = f"sum by (queue) (rate(celery_tasks_ended_total{{{HERE}}}[$__rate_interval]))"
    received = f"sum by (queue) (rate(celery_tasks_received_total{{{HERE}}}[$__rate_interval]))"
    return [
        lines(
            "Waiting",
            "Messages that no worker holds yet.",
            [Query(f"queue:celery_ready:max{{{HERE}}}", "{{queue}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "In flight",
            "Messages that a worker holds.",
            [Query(f"queue:celery_in_flight:max{{{HERE}}}", "{{queue}}")],
            "short",
            colours=palette.QUEUES,
        ),
        lines(
            "Oldest message against its target",
            "1 is the age_target of queues.toml.",
            [Query(f"queue:celery_oldest_seconds:max{{{HERE}}} / on (queue) {TARGETS}", "{{queue}}")],
            "percentunit",
            limits=TARGET,
            colours=palette.QUEUES,
        ),
        lines(
            "Delivered",
            "Messages a second that workers got.",
            [Query(received, "{{queue}}")],
            "ops",
            colours=palette.QUEUES,
        ),
        lines(
            "Ended", "Tasks a second that ended, however.", [Query(ended, "{{queue}}")], "ops", colours=palette.QUEUES
        ),
        lines(
            "Published",
            "Messages a second from processes that show /metrics: the API, Beat, workers' main processes. "
            "What pool processes publish is not among them.",
            [Query(f"sum by (queue) (rate(celery_published_total{{{HERE}}}[$__rate_interval]))", "{{queue}}")],
            "ops",
            colours=palette.QUEUES,
        ),
    ]


def times() -> list[Any]:
    return [
        lines(
            "Wait",
            "From publishing, or the time that a task was for, to its start. The dots are the slowest tasks, by id.",
            quantiles(WAIT, HERE),
            "s",
        ),
        lines(
            "Run",
            "From start to end. The dots are the slowest tasks, by id.",
            quantiles(RUN, HERE),
            "s",
        ),
        lines(
            "Workers",
            "That consume.",
            [Query(f"queue:celery_consumers:max{{{HERE}}}", "{{queue}}")],
            "short",
            colours=palette.QUEUES,
            links={"Scaling": to("autoscaling", queue="${__field.labels.queue}")},
        ),
    ]


def trouble() -> list[Any]:
    again = f"sum by (queue) (rate(celery_tasks_redelivered_total{{{HERE}}}[15m]))"
    return [
        lines(
            "Delivered again",
            "Of the deliveries of 15 minutes, those that were not the first: their workers die, or lose the broker.",
            [Query(f"{again} / (sum by (queue) (rate(celery_tasks_received_total{{{HERE}}}[15m])) > 0)", "{{queue}}")],
            "percentunit",
            limits=of_alert("Redeliveries", "(rate(celery_tasks_redelivered_total[15m]))"),
            colours=palette.QUEUES,
            span=6,
        ),
        lines(
            "Parked as dead letters",
            "By reason: poison kills its worker, unknown-task is newer than the workers.",
            [Query(risen(f"celery_dead_letters_total{{{HERE}}}", "reason", STEP), "{{reason}}")],
            "short",
            limits=of_alert("DeadLetters", whole=True),
            colours=palette.REASONS,
            bars=True,
            span=6,
        ),
        lines(
            "Waiting by priority",
            "Redis keeps a list for each: 0 goes first, 9 last. RabbitMQ does not tell.",
            [
                Query(
                    f"max by (priority) (sum by (instance, priority) (celery_queue_ready_by_priority{{{HERE}}}))",
                    "priority {{priority}}",
                )
            ],
            "short",
            colours=palette.in_order(("priority 0", "priority 3", "priority 6", "priority 9")),
            span=6,
        ),
        lines(
            "Kept for later",
            "Messages that wait in RabbitMQ for their time, of all queues; with Redis, workers hold them.",
            [Query("max(celery_delayed)", "delayed", palette.BLUE)],
            "short",
            span=6,
        ),
    ]
