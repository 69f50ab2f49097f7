import time

from celery import shared_task
from flask import current_app


class MailboxFullError(Exception):
    """What `deliver` retries."""


@shared_task
def count(a: int, b: int) -> int:
    return a + b


@shared_task
def total(counts: list[int]) -> int:
    return sum(counts)


@shared_task(bind=True, max_retries=3)
def deliver(self, full: int, countdown: float = 0) -> int:
    """Deliver a letter to a mailbox that is full for the first `full` tries; returns how many tries it took."""
    if self.request.retries < full:
        raise self.retry(exc=MailboxFullError(f"try {self.request.retries}"), countdown=countdown)
    return self.request.retries + 1


@shared_task
def bounce(message: str) -> None:
    raise MailboxFullError(message)


@shared_task
def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shared_task(ignore_result=False)
def sign(text: str) -> str:
    """Sign with what only the application's context knows."""
    return f"{text}\n{current_app.config['SENDER']}"
