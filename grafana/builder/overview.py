"""Is it healthy, in five seconds; and if not, what is wrong and where: the queue, the task, the worker."""

from __future__ import annotations

from typing import Any

from grafana.builder import palette
from grafana.builder.culprits import TO_QUEUE, TO_WORKER, broken, tasks
from grafana.builder.limits import ANY, TARGET, flag, of_alert, told
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, stat_
from grafana.builder.queues import queues_table
from grafana.builder.tables import Column, table_

FIRING = told('alertstate="firing"')
TITLE = "Overview"
WHAT = "Is it healthy, in five seconds. If not: what is wrong, and in which queue, task or worker."
VARIABLES: tuple[str, ...] = ()


def rows() -> list[tuple[str, list[Any]]]:
    return [
        ("Is it healthy", tiles()),
        ("What is wrong, and where", [alerts(), queues_table(), *tasks()]),
        ("How it came to this", [*course(), *broken()]),
    ]


def tiles() -> list[Any]:
    return [
        stat_(
            "Alerts",
            "Alerts that fire now; the table below names them.",
            f"count({FIRING}) or vector(0)",
            "short",
            limits=ANY,
        ),
        stat_(
            "Broker",
            "Whether the broker answered the collector's last look.",
            "min(celery_broker_up)",
            "bool",
            limits=flag("BrokerDown", bad=0),
            words={0: "AWAY", 1: "answers"},
            links={"Broker": to("broker")},
        ),
        stat_(
            "Redis",
            "The same of Redis: results, locks, Beat's schedule; with BROKER=redis the broker too.",
            "min(celery_redis_up)",
            "bool",
            limits=flag("RedisDown", bad=0),
            words={0: "AWAY", 1: "answers"},
            links={"Broker": to("broker")},
        ),
        stat_(
            "Beat's last tick",
            "Seconds since any Beat went through the schedule.",
            "time() - max(celery_beat_last_tick_timestamp_seconds)",
            "s",
            decimals=0,
            limits=of_alert("BeatAbsent", "max(celery_beat_last_tick_timestamp_seconds)"),
            links={"Beat": to("beat")},
        ),
        stat_(
            "Oldest message",
            "The oldest message that waits, as a part of its queue's age_target; of the worst queue.",
            "max(queue:celery_oldest_seconds:max / on (queue) max by (queue) (celery_queue_age_target_seconds))",
            "percentunit",
            limits=TARGET,
            decimals=0,
            links={"Queues": to("queue")},
        ),
        stat_(
            "Failing",
            "Of all tasks that ended in the last 5 minutes, those that failed or were rejected.",
            "sum(task:celery_failed:rate5m) / (sum(task:celery_ended:rate5m) > 0) or vector(0)",
            "percentunit",
            limits=of_alert("TaskFailures", "task:celery_failures:ratio5m"),
            decimals=1,
            links={"Tasks": to("task")},
        ),
        stat_(
            "Dead letters",
            "Messages that no worker could run. They are kept: make dead-letters.",
            "sum(queue:celery_dead_letters:max)",
            "short",
            limits=of_alert("DeadLetters", whole=True),
            links={"Queues": to("queue")},
        ),
        stat_(
            "Workers",
            "Workers that Prometheus reaches. None is right for a queue that is scaled to zero.",
            'sum(up{job="worker"})',
            "short",
            links={"Workers": to("workers")},
        ),
    ]


def alerts() -> Any:
    """With the name of each alert's runbook: two of RabbitMQ's share one."""
    named = f'label_replace({told()}, "runbook", "$1", "alertname", "(.+)")'
    expr = f'label_replace({named}, "runbook", "RabbitMQAlarm", "alertname", "RabbitMQ.+")'
    return table_(
        "Alerts",
        "What fires, and what is about to (pending). A click on the name opens the runbook; empty is good.",
        "alertname",
        [Column("alert", expr, "none")],
        links={"Runbook": "${runbooks:raw}/${__data.fields.runbook}.md"},
        by="alertname, severity, alertstate, queue, task, worker, job, runbook",
        hidden=["alert", "Value"],
    )


def course() -> list[Any]:
    return [
        lines(
            "Waiting",
            "Messages that no worker holds yet.",
            [Query("queue:celery_ready:max", "{{queue}}")],
            "short",
            colours=palette.QUEUES,
            links=TO_QUEUE,
            span=6,
        ),
        lines(
            "Oldest message against its target",
            "1 is the age_target of queues.toml.",
            [
                Query(
                    "queue:celery_oldest_seconds:max / on (queue) max by (queue) (celery_queue_age_target_seconds)",
                    "{{queue}}",
                )
            ],
            "percentunit",
            limits=TARGET,
            colours=palette.QUEUES,
            links=TO_QUEUE,
            span=6,
        ),
        lines(
            "Busy slots",
            "Of all slots of a queue's workers, those that run a task.",
            [Query("worker:celery_slots_busy:sum / on (worker) (sum by (worker) (celery_slots) > 0)", "{{worker}}")],
            "percentunit",
            colours=palette.QUEUES,
            links=TO_WORKER,
            span=6,
            top=1,
        ),
        lines(
            "Ended",
            "Tasks a second by what became of them.",
            [Query("sum by (outcome) (rate(celery_tasks_ended_total[$__rate_interval]))", "{{outcome}}")],
            "ops",
            colours=palette.ENDS,
            links={"Tasks": to("task")},
            span=6,
            stacked=True,
        ),
    ]
