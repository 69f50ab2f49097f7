"""Tasks to try things with: each does one thing that a queue must cope with."""

import time

from celery import shared_task


class UnluckyError(Exception):
    """What `fail` raises, and `retry` until its last try."""


@shared_task
def add(x, y):
    return x + y


@shared_task(bind=True, max_retries=3)
def retry(self, times, countdown=0):
    """Fail `times` times, then return how many tries it took."""
    if self.request.retries < times:
        raise self.retry(exc=UnluckyError(f"try {self.request.retries}"), countdown=countdown)
    return self.request.retries + 1


@shared_task
def fail(message):
    raise UnluckyError(message)


@shared_task
def sleep(seconds):
    time.sleep(seconds)
    return seconds
