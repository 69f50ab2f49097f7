"""What there is to count and to show: each name with its help and its labels. Names get the prefix `celery_`.

A label never holds a host, a process, a task's id or the text of an error: series that nobody asks for again.
"""

from __future__ import annotations

# What other modules count with `count(name)`.
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "reconnects": ("Connections to the broker that were lost and made again.", ()),
    "lease_renewals": ("Renewals of the lease on the messages that this worker holds.", ()),
    "lease_lost": ("Messages whose lease ended while this worker held them; another worker may run them.", ()),
    "dead_letters": ("Messages parked as dead letters.", ("task", "queue", "reason")),
    "child_restarts": ("Pool children that ended and were replaced; see CHILD_ENDS.", ("reason",)),
    "events_dropped": ("Tasks whose events were not sent, since their worker could not keep up.", ()),
    "fallbacks": ("Tasks that gave up and whose fallback took over; in pools of threads and solo only.", ("task",)),
    "published": ("Messages that this process published, by the queue that they go to.", ("queue",)),
    "publish_errors": ("Messages that the broker did not confirm, by their queue.", ("queue",)),
    "beat_sent": ("Entries of the schedule that were sent.", ()),
    "collector_errors": ("Looks at the broker or at Redis that failed.", ("server",)),
}
# Why a pool child ended: used up (tasks, memory), over its hard time limit, or killed by somebody else. Celery's own
# prefork pool does not tell the second from the third.
CHILD_ENDS = ("recycled", "time_limit", "lost")
# What other modules show with `gauge(name, function)`.
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "slots": ("Tasks that this worker can run at once.", ()),
    "slots_busy": ("Tasks that run now.", ()),
    "prefetched": (
        "Messages that this worker holds and does not run yet, those of a later time among them.",
        (),
    ),
    "oldest_task_seconds": ("Age of the task that has run for longest, 0 without one.", ()),
    "overdue_task_seconds": ("By how much a running task is beyond its hard time limit at most, 0 without one.", ()),
    "loop_alive": ("1, or 0 when the main loop that should run stands still; what /livez says.", ()),
    "last_tick_timestamp_seconds": ("When the main loop gave its last sign of life.", ()),
    "start_timestamp_seconds": ("When this process started.", ()),
    "beat_last_tick_timestamp_seconds": ("When Beat last went through its schedule.", ()),
    "beat_lateness_seconds": ("How late the entry that Beat sent last was.", ()),
    "beat_entries": ("Entries of the schedule.", ()),
    "queue_ready": ("Messages that wait for a worker.", ("queue",)),
    "queue_ready_by_priority": (
        "The same by the priority list that they wait in; on Redis only.",
        ("queue", "priority"),
    ),
    "queue_in_flight": ("Messages that a worker holds: those that run, and those that it keeps for later.", ("queue",)),
    "queue_consumers": ("Workers that consume the queue.", ("queue",)),
    "queue_dead_letters": ("Dead letters of the queue.", ("queue",)),
    "queue_oldest_seconds": (
        "Age of the message that has waited for longest since it was due, 0 without one.",
        ("queue",),
    ),
    "queue_age_target_seconds": ("`age_target` of queues.toml.", ("queue",)),
    "queue_time_limit_seconds": ("`time_limit` of queues.toml.", ("queue",)),
    "queue_slots_max": ("Tasks that the queue's workers can run at once when scaled to their maximum.", ("queue",)),
    "delayed": (
        "Messages that wait in RabbitMQ for their time, of all queues; on Redis, workers hold them.",
        (),
    ),
    "broker_up": ("1, or 0 when the collector's last look at the broker failed.", ()),
    "redis_up": ("1, or 0 when the collector's last look at Redis failed.", ()),
    "redis_memory_used_bytes": ("What Redis uses.", ()),
    "redis_memory_max_bytes": ("`maxmemory` of Redis, 0 without a limit.", ()),
    "redis_evicted_keys": ("Keys that Redis threw away for want of memory, since it started.", ()),
    "redis_persistence_ok": ("1, or 0 when Redis could not write its AOF or its snapshot last time.", ()),
    "redis_clients": ("Connections to Redis.", ()),
    "collector_last_look_timestamp_seconds": ("When the collector last got an answer from the broker.", ()),
}
OTHER = "other"  # in place of a name that anybody may make up
STATES = ("starting", "ready", "reconnecting", "draining")
