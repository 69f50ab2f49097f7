"""An app with many tasks, whose names are as long as in life: `CELERY_APP=manytasks:app`."""

from celery import Celery

app = Celery("manytasks")


def remind():
    """Do nothing."""


for number in range(40):
    app.task(remind, name=f"app.tasks.reminders.remind_{number:02}")
