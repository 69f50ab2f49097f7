"""Beat: whether one goes through the schedule, how late, and what it sends."""

from __future__ import annotations

from typing import Any

from grafana.builder import palette
from grafana.builder.limits import flag, of_alert
from grafana.builder.links import to
from grafana.builder.panels import Query, lines, stat_

TITLE = "Beat"
WHAT = "Whether a Beat goes through the schedule, how late it is, and what it sends."
VARIABLES: tuple[str, ...] = ()
TICK = "time() - max(celery_beat_last_tick_timestamp_seconds)"
ABSENT = of_alert("BeatAbsent", "max(celery_beat_last_tick_timestamp_seconds)")
LATE = of_alert("BeatLate")


def rows() -> list[tuple[str, list[Any]]]:
    return [("Now", tiles()), ("Over time", course())]


def tiles() -> list[Any]:
    return [
        stat_(
            "Last tick",
            "Since any Beat went through the schedule; the one that has the lock does every 5 s.",
            TICK,
            "s",
            limits=ABSENT,
            decimals=0,
            span=6,
        ),
        stat_(
            "Late",
            "How late the entry that was sent last was.",
            "max(celery_beat_lateness_seconds)",
            "s",
            limits=LATE,
            decimals=1,
            span=6,
        ),
        stat_("Entries", "Of the schedule: make schedule lists them.", "max(celery_beat_entries)", "short", span=6),
        stat_(
            "Redis",
            "Where the schedule and Beat's lock are.",
            "min(celery_redis_up)",
            "bool",
            limits=flag("RedisDown", bad=0),
            words={0: "AWAY", 1: "answers"},
            links={"Broker": to("broker")},
            span=6,
        ),
    ]


def course() -> list[Any]:
    states = 'sum by (state) (celery_state{job="beat"})'
    return [
        lines(
            "Last tick",
            "Since any Beat went through the schedule.",
            [Query(TICK, "since", palette.BLUE)],
            "s",
            limits=ABSENT,
        ),
        lines(
            "Late",
            "How late the entry that was sent last was.",
            [Query("max(celery_beat_lateness_seconds)", "late", palette.BLUE)],
            "s",
            limits=LATE,
        ),
        lines(
            "Sent",
            "Entries of the schedule in each step of the graph.",
            [Query("sum(increase(celery_beat_sent_total[$__rate_interval]))", "sent", palette.BLUE)],
            "short",
            bars=True,
        ),
        lines(
            "Published",
            "Messages a second by the queue that they go to.",
            [Query('sum by (queue) (rate(celery_published_total{job="beat"}[$__rate_interval]))', "{{queue}}")],
            "ops",
            colours=palette.QUEUES,
            links={"This queue": to("queue", queue="${__field.labels.queue}")},
        ),
        lines(
            "State",
            "Beats by what they do; one that waits for the lock is ready too.",
            [Query(states, "{{state}}")],
            "short",
            colours=palette.PHASES,
            stacked=True,
        ),
        lines(
            "Starts",
            "Of the process, in half an hour.",
            [Query('max(changes(celery_start_timestamp_seconds{job="beat"}[30m]))', "starts", palette.BLUE)],
            "short",
        ),
    ]
