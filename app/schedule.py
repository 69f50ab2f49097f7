"""What Beat publishes, and when (UTC).

A tick that no worker picked up before the next one is due has expired: the next one does its work, so that a queue
that was away for a day doesn't run the same clean-up twenty times.
"""

from celery.schedules import crontab

HOUR = 3600  # seconds
RELAY = 10  # seconds

BEAT_SCHEDULE = {
    # Tasks whose process was killed between the commit and the publishing, or found the broker away.
    "relay-outbox": {"task": "celery_runtime.outbox.relay", "schedule": RELAY, "options": {"expires": RELAY}},
    # Two rows per fault: a load test leaves a million of them.
    "remove-old-fault-batches": {
        "task": "app.tasks.cleanup.remove_old_fault_batches",
        "schedule": crontab(minute="10"),
        "options": {"expires": HOUR},
    },
    # A picture whose worker was lost for good, or that failed: its owner has seen the reason by now.
    "remove-dead-images": {
        "task": "app.tasks.cleanup.remove_dead_images",
        "schedule": crontab(minute="20", hour="3"),
        "options": {"expires": 12 * HOUR},
    },
}
