"""Base classes for tasks, one module each: `@app.task(base=RetryingTask)`. docs/tasks.md shows them at work."""

from __future__ import annotations

from typing import Any

from celery import Task
from celery.exceptions import Reject, Retry

# Seconds. Celery's 180 would keep the task of a killed pool child waiting for three minutes.
RETRY_DELAY = 5
# Seconds. The next try is published before the state of this one is stored: with no pause between them, the SUCCESS
# of another worker was overwritten by RETRY, and stayed so. RabbitMQ's delayed delivery refuses less than a second.
SHORTEST = 1


class RuntimeTask(Task):  # type: ignore[misc]
    """What the bases have in common, so that they can be combined: `class Mine(LockedTask, RetryingTask)`.

    Read in Celery 5.7.0: celery/app/trace.py calls `__call__` of such a class with the request pushed already;
    that of `Task` would push an empty one over it.
    """

    default_retry_delay = RETRY_DELAY

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        return self.run(*args, **kwargs)

    def postpone(self, seconds: float, reason: str) -> Retry:
        """Publish this task again for `seconds` later, SHORTEST at least, and return what tells Celery so.

            raise self.postpone(30, "the budget of this minute is used up")

        Not by `retry()`, which would use up one of its tries and, when it cannot publish, drop the message.
        """
        seconds = max(SHORTEST, seconds)
        later = self.signature_from_request(self.request, countdown=seconds)
        if not self.request.is_eager:
            try:
                later.apply_async()
            except Exception as error:
                raise Reject(error, requeue=True) from error
        return Retry(reason, when=seconds, is_eager=self.request.is_eager, sig=later)
