# So that `shared_task` finds the app, in whatever way Django is started.
from conf.celery import app as celery_app

__all__ = ("celery_app",)
