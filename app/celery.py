"""The Celery app. Its broker, queues and safe settings come from `celery_runtime`, its routes from here."""

from celery import Celery

from app.schedule import BEAT_SCHEDULE
from app.settings import settings
from celery_runtime import install

settings()  # a wrong setting ends the process at its start, not at its first task
app = install(Celery("app"))
app.conf.update(
    task_track_started=True,  # people watch their pictures; it costs each task a trip to Redis
    include=[
        "app.tasks.media",
        "app.tasks.email",
        "app.tasks.posts",
        "app.tasks.faults",
        "app.tasks.cleanup",
        "app.outbox",  # its relay
    ],
    # A module of tasks has the queue of its name; what is not listed goes to the default queue, and faults go
    # where their caller says.
    task_routes={
        "app.tasks.media.*": {"queue": "media"},
        "app.tasks.email.*": {"queue": "email"},
        "app.tasks.ai.*": {"queue": "ai"},
        "app.tasks.posts.announce_post": {"queue": "email"},  # waits on SMTP too
    },
    beat_schedule=BEAT_SCHEDULE,
)
