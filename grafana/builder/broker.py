"""The brokers: Redis, which every stack has, and RabbitMQ, if it is the broker; and who publishes to them."""

from __future__ import annotations

from typing import Any

from grafana.builder import palette
from grafana.builder.limits import NONE, flag, of_alert
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, stat_
from grafana.builder.queues import quantiles

TITLE = "Broker"
WHAT = "Redis and RabbitMQ: whether they answer, how full they are, whether they keep what they are given."
VARIABLES: tuple[str, ...] = ()
FULL, FULL_RABBIT = of_alert("RedisMemory"), of_alert("RabbitMQMemory")
DISK = of_alert("RabbitMQDisk")
UP = {0: "AWAY", 1: "answers"}


def rows() -> list[tuple[str, list[Any]]]:
    return [
        ("Now", tiles()),
        ("Publishing and looking", clients()),
        ("Redis: results, locks, Beat's schedule, and the broker if it is the one", redis()),
        ("RabbitMQ, if it is the broker", rabbitmq()),
    ]


def tiles() -> list[Any]:
    used = "max(celery_redis_memory_used_bytes) / (max(celery_redis_memory_max_bytes) > 0)"
    return [
        stat_(
            "Broker",
            "Whether it answered the collector's last look.",
            "min(celery_broker_up)",
            "bool",
            limits=flag("BrokerDown", bad=0),
            words=UP,
            span=4,
        ),
        stat_(
            "Redis",
            "Whether it answered the collector's last look.",
            "min(celery_redis_up)",
            "bool",
            limits=flag("RedisDown", bad=0),
            words=UP,
            span=4,
        ),
        stat_(
            "Redis' memory",
            "Of maxmemory; at 100 % it accepts no task.",
            used,
            "percentunit",
            limits=FULL,
            decimals=0,
            span=4,
        ),
        stat_(
            "Redis' disk",
            "Whether it could write its AOF or its snapshot last time.",
            "min(celery_redis_persistence_ok)",
            "bool",
            limits=flag("RedisPersistence", bad=0),
            words={0: "FAILS", 1: "written"},
            span=4,
        ),
        stat_(
            "Collector's last look",
            "Since the collector saw the queues: beyond 2 minutes, alerts about queues are blind.",
            "time() - max(celery_collector_last_look_timestamp_seconds)",
            "s",
            limits=of_alert("CollectorBlind", "max(celery_collector_last_look_timestamp_seconds)"),
            decimals=0,
            span=4,
        ),
        stat_(
            "RabbitMQ's alarms",
            "Of memory or disk: it lets nobody publish.",
            "max(rabbitmq_alarms_memory_used_watermark) + max(rabbitmq_alarms_free_disk_space_watermark)",
            "short",
            limits=flag("RabbitMQAlarm", bad=1),
            span=4,
        ),
    ]


def clients() -> list[Any]:
    return [
        lines(
            "Published",
            "Messages a second, by the process that publishes: those of pool processes are not among them.",
            [Query("sum by (job) (rate(celery_published_total[$__rate_interval]))", "{{job}}")],
            "ops",
            colours=palette.in_order(("api", "beat", "worker", "collector")),
        ),
        lines(
            "Time to publish",
            "Until the broker confirmed a message, or a batch of them.",
            quantiles("celery_publish_seconds", 'job="api"'),
            "s",
        ),
        lines(
            "Not published",
            "Messages that the broker did not confirm, by their queue.",
            [Query("sum by (queue) (increase(celery_publish_errors_total[$__rate_interval]))", "{{queue}}")],
            "short",
            limits=of_alert("PublishErrors", whole=True),
            colours=palette.QUEUES,
            bars=True,
            links={"This queue": to("queue", queue="${__field.labels.queue}")},
        ),
        lines(
            "Answers",
            "1 while it answers the collector, 0 while it does not.",
            [
                Query("min(celery_broker_up)", "broker", palette.BLUE),
                Query("min(celery_redis_up)", "Redis", palette.VERMILION),
            ],
            "short",
            top=1,
        ),
        lines(
            "Looks that failed",
            "Of the collector, by whom it asked.",
            [Query("sum by (server) (increase(celery_collector_errors_total[$__rate_interval]))", "{{server}}")],
            "short",
            colours=palette.in_order(("broker", "redis")),
            bars=True,
        ),
        lines(
            "Connections lost",
            "By worker; in all of them at once it was the broker.",
            [
                Query(
                    'sum by (worker) (increase(celery_reconnects_total{job="worker"}[$__rate_interval]))', "{{worker}}"
                )
            ],
            "short",
            colours=palette.QUEUES,
            bars=True,
            links={"This worker": to("workers", worker="${__field.labels.worker}")},
        ),
    ]


def redis() -> list[Any]:
    return [
        lines(
            "Memory",
            "Used, and maxmemory.",
            [
                Query("max(celery_redis_memory_used_bytes)", "used", palette.BLUE),
                Query("max(celery_redis_memory_max_bytes)", "maxmemory", palette.VERMILION),
            ],
            "bytes",
        ),
        lines(
            "Keys thrown away",
            "For want of memory. Tasks may be among them.",
            [Query("max(increase(celery_redis_evicted_keys[$__rate_interval]))", "evicted", palette.VERMILION)],
            "short",
            limits=of_alert("RedisEvictions", whole=True),
            bars=True,
        ),
        lines(
            "Connections",
            "Of workers, Beat, the API and everybody else.",
            [Query("max(celery_redis_clients)", "connections", palette.BLUE)],
            "short",
        ),
    ]


def rabbitmq() -> list[Any]:
    opened, closed = (f"rate(rabbitmq_connections_{end}_total[$__rate_interval])" for end in ("opened", "closed"))
    return [
        lines(
            "Memory",
            "Of the watermark; at 100 % it lets nobody publish.",
            [
                Query(
                    "max(rabbitmq_process_resident_memory_bytes / (rabbitmq_resident_memory_limit_bytes > 0))",
                    "used",
                    palette.BLUE,
                )
            ],
            "percentunit",
            limits=FULL_RABBIT,
        ),
        lines(
            "Free disk",
            "Times the limit at which it stops.",
            [
                Query(
                    "min(rabbitmq_disk_space_available_bytes / (rabbitmq_disk_space_available_limit_bytes > 0))",
                    "free",
                    palette.BLUE,
                )
            ],
            "short",
            limits=DISK,
        ),
        lines(
            "Connections",
            "Of workers, Beat, the API and everybody else, open now.",
            [Query("sum(rabbitmq_connections)", "connections", palette.BLUE)],
            "short",
        ),
        lines(
            "Connections opened and closed",
            "A second. Many of both: somebody connects for each message.",
            [Query(f"sum({opened})", "opened", palette.BLUE), Query(f"sum({closed})", "closed", palette.VERMILION)],
            "ops",
        ),
        lines(
            "Messages",
            "In all queues, its own of delayed ones among them.",
            [
                Query("sum(rabbitmq_queue_messages_ready)", "ready", palette.BLUE),
                Query("sum(rabbitmq_queue_messages_unacked)", "held", palette.ORANGE),
            ],
            "short",
            stacked=True,
            limits=NONE,
        ),
        lines(
            "Alarms",
            "1 while RabbitMQ is out of memory or disk.",
            [
                Query("max(rabbitmq_alarms_memory_used_watermark)", "memory", palette.VERMILION),
                Query("max(rabbitmq_alarms_free_disk_space_watermark)", "disk", palette.BLUE),
            ],
            "short",
            limits=flag("RabbitMQAlarm", bad=1),
            top=1,
        ),
    ]
