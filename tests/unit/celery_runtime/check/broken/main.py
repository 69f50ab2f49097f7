"""An app with a fault of each kind that `celery-runtime check` knows."""

from celery import Celery

app = Celery("broken", include=["broken.work", "broken.gone"])
app.conf.update(
    task_serializer="pickle",
    worker_prefetch_multiplier=4,
    task_always_eager=True,
    result_expires=None,
    task_routes={"broken.work.export": {"queue": "exports"}},
    beat_schedule={
        "nightly": {"task": "broken.work.nightly", "schedule": 60.0},
        "hourly": {"task": "broken.work.add", "schedule": 60.0, "options": {"queue": "hourly"}},
    },
)
