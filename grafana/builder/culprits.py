"""Which task, queue or worker it is that makes trouble: the Overview's lists, and what was broken when."""

from __future__ import annotations

from typing import Any

from grafana.builder import palette
from grafana.builder.expressions import STEP, risen
from grafana.builder.limits import of_alert
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, ranks

TASK = "{{task}} ({{queue}})"
TO_TASK = {"This task": to("task", task="${__field.labels.task}", queue="${__field.labels.queue}")}
TO_QUEUE = {"This queue": to("queue", queue="${__field.labels.queue}")}
TO_WORKER = {"This worker": to("workers", worker="${__field.labels.worker}")}


def tasks() -> list[Any]:
    """Four lists of culprits. Each counts over 15 minutes at most, so that what is over leaves them."""
    failed = risen('celery_tasks_ended_total{outcome=~"failed|rejected"}', "task, queue", "15m")
    retried = risen('celery_tasks_ended_total{outcome="retried"}', "task, queue", "15m")
    again = risen("celery_tasks_redelivered_total", "task, queue", "15m")
    taken = "sum by (task, queue) (rate(celery_task_run_seconds_sum[5m]))"
    return [
        ranks(
            "Where the time goes",
            "Pool slots that each task took on average in 5 minutes: what is slow, or comes often.",
            Query(_longest(taken), TASK),
            "short",
            links=TO_TASK,
            span=6,
            decimals=2,
        ),
        ranks(
            "Failed",
            "Runs of 15 minutes that failed or were rejected.",
            Query(_longest(failed), TASK),
            "short",
            links=TO_TASK,
            span=6,
            decimals=0,
        ),
        ranks(
            "Retried",
            "Runs of 15 minutes that ended in a retry: what the task depends on is slow, away or refuses.",
            Query(_longest(retried), TASK),
            "short",
            links=TO_TASK,
            span=6,
            decimals=0,
        ),
        ranks(
            "Delivered again",
            "Deliveries of 15 minutes that were not the first: the task kills its worker, or the connection was lost.",
            Query(_longest(again), TASK),
            "short",
            links=TO_TASK,
            span=6,
            decimals=0,
        ),
    ]


def _longest(expr: str) -> str:
    return f"sort_desc(topk(8, {expr} > 0))"


def broken() -> list[Any]:
    """Counted where it happens, so that a broker that was away for two seconds shows too."""
    return [
        lines(
            "Processes lost",
            "Pool processes that died under their task, by worker: most often for want of memory.",
            [
                Query(
                    'sum by (worker) (increase(celery_child_restarts_total{reason="lost"}[$__rate_interval]))',
                    "{{worker}}",
                )
            ],
            "short",
            limits=of_alert("PoolChildrenLost"),
            colours=palette.QUEUES,
            links=TO_WORKER,
            span=6,
            bars=True,
        ),
        lines(
            "Connections lost",
            "Connections to the broker that were lost and made again, by worker: in all of them at "
            "once it was the broker.",
            [
                Query(
                    'sum by (worker) (increase(celery_reconnects_total{job="worker"}[$__rate_interval]))', "{{worker}}"
                )
            ],
            "short",
            colours=palette.QUEUES,
            links=TO_WORKER,
            span=6,
            bars=True,
        ),
        lines(
            "Not published",
            "Messages that the broker did not confirm, by the queue that they were for.",
            [Query("sum by (queue) (increase(celery_publish_errors_total[$__rate_interval]))", "{{queue}}")],
            "short",
            limits=of_alert("PublishErrors", whole=True),
            colours=palette.QUEUES,
            links=TO_QUEUE,
            span=6,
            bars=True,
        ),
        lines(
            "Parked as dead letters",
            "By queue, with those that are parked over and over.",
            [Query(risen("celery_dead_letters_total", "queue", STEP), "{{queue}}")],
            "short",
            colours=palette.QUEUES,
            links=TO_QUEUE,
            span=6,
            bars=True,
        ),
    ]
