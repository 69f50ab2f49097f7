"""The Celery app. Its broker, queues and safe settings come from `celery_runtime`, its routes from here."""

from celery import Celery
from celery.signals import before_task_publish

from app.priority import raise_to_normal
from app.schedule import BEAT_SCHEDULE
from app.settings import settings
from celery_runtime import install

settings()  # a wrong setting ends the process at its start, not at its first task
app = install(Celery("app"))
before_task_publish.connect(raise_to_normal)
app.conf.update(
    task_track_started=True,  # people watch their pictures; it costs each task a trip to Redis
    include=[
        "app.tasks.media",
        "app.tasks.email",
        "app.tasks.notices",
        "app.tasks.posts",
        "app.tasks.ai",
        "app.tasks.search",
        "app.tasks.counters",
        "app.tasks.faults",
        "app.tasks.cleanup",
        "app.tasks.bills",
        "app.tasks.reminders",
        "app.tasks.reports",
        "app.tasks.backup",
        "app.alerts",
        "app.events",  # its dispatcher
        "app.outbox",  # its relay
    ],
    # A module of tasks has the queue of its name; what is not listed goes to the default queue, and faults go
    # where their caller says.
    task_routes={
        "app.tasks.media.*": {"queue": "media"},
        "app.tasks.email.*": {"queue": "email"},
        "app.tasks.notices.*": {"queue": "email"},  # wait on SMTP too
        "app.tasks.ai.*": {"queue": "ai"},
        "app.tasks.backup.*": {"queue": "backup"},
        "app.tasks.reminders.send_notice": {"queue": "email"},
        "app.tasks.reports.*": {"queue": "email"},
    },
    beat_schedule=BEAT_SCHEDULE,
)
