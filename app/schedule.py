"""What Beat publishes, and when: in UTC, or where a person waits for it, by the clock of that person's zone.

A tick that no worker picked up before the next one is due has expired: the next one does its work, so that a queue
that was away for a day doesn't run the same clean-up twenty times. Each of these tasks does whatever is due when it
runs, so that a run that was missed, or one by hand, loses and doubles nothing: docs/schedule.md.
"""

from celery.schedules import crontab

from celery_runtime.schedule.zones import LocalCrontab

HOUR = 3600  # seconds
RELAY = 10  # seconds
FLUSH = 10  # seconds
OFFICE = "Europe/Berlin"  # where the report is read

BEAT_SCHEDULE = {
    # Tasks whose process was killed between the commit and the publishing, or found the broker away.
    "relay-outbox": {"task": "celery_runtime.outbox.relay", "schedule": RELAY, "options": {"expires": RELAY}},
    "flush-likes": {"task": "app.tasks.counters.flush_likes", "schedule": FLUSH, "options": {"expires": FLUSH}},
    # Every hour a new day begins somewhere, and with it a month of somebody's subscription.
    "renew-subscriptions": {
        "task": "app.tasks.bills.renew_subscriptions",
        "schedule": crontab(minute="5"),
        "options": {"expires": HOUR},
    },
    "remind-of-due-bills": {
        "task": "app.tasks.reminders.remind_of_due_bills",
        "schedule": crontab(minute="15"),
        "options": {"expires": HOUR},
    },
    "alert-of-overdue-bills": {
        "task": "app.tasks.reminders.alert_of_overdue_bills",
        "schedule": crontab(minute="25"),
        "options": {"expires": HOUR},
    },
    # Read with the first coffee, in summer and in winter; worth nothing in the evening.
    "daily-report": {
        "task": "app.tasks.reports.daily_report",
        "schedule": LocalCrontab(minute="0", hour="7", zone=OFFICE),
        "options": {"expires": 12 * HOUR},
    },
    # When the fewest people write; an hour after the clocks change, which skips or repeats 2 o'clock in OFFICE.
    "back-up-database": {
        "task": "app.tasks.backup.back_up_database",
        "schedule": LocalCrontab(minute="40", hour="3", zone=OFFICE),
        "options": {"expires": 12 * HOUR},
    },
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
    # One row for each bill that was charged and each alert.
    "remove-old-effects": {
        "task": "app.tasks.cleanup.remove_old_effects",
        "schedule": crontab(minute="30", hour="3"),
        "options": {"expires": 12 * HOUR},
    },
}
