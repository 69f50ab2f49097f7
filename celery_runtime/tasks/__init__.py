"""Base classes for tasks, one module each: `@app.task(base=RetryingTask)`. docs/tasks.md shows them at work."""

from __future__ import annotations

from typing import Any

from celery import Task

# Seconds. Celery's 180 would keep the task of a killed pool child waiting for three minutes.
RETRY_DELAY = 5


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
