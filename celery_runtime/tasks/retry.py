"""Try again what may pass, at growing and random intervals; then do something sensible; then wake somebody.

    @app.task(base=RetryingTask, autoretry_for=(ModelBusyError,), max_retries=4)
    def check(post_id): ...

Celery's own options do most of it (`autoretry_for`, `retry_backoff`, `retry_backoff_max`, `retry_jitter`,
`max_retries`); here are defaults that are fit for production, an answer's Retry-After, and the fallback.

Read in Celery 5.7.0: celery/app/autoretry.py (it calls `retry`, which raises the last exception when it gives up).
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from celery.exceptions import Ignore, Reject, Retry

from celery_runtime.tasks import SHORTEST, RuntimeTask
from celery_runtime.tasks.signals import give_up


class RetryingTask(RuntimeTask):
    """Tries again after 1 s, 1-2 s, 1-4 s, ... (full jitter), `max_retries` times.

    An exception with an attribute `retry_after` (seconds) sets the pause of its try itself; so does
    `raise self.retry(exc=error, countdown=seconds)`. No pause is longer than `retry_backoff_max` or
    shorter than SHORTEST.

    fallback: what is called with the final exception and the task's arguments; what it returns is the task's result,
    and what it raises its failure. `task_gave_up` is sent in either case.
    """

    autoretry_for: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError)
    retry_kwargs: ClassVar[dict[str, Any]] = {}
    max_retries: int | None = 5
    retry_backoff = 1  # seconds
    retry_backoff_max = 300  # seconds
    retry_jitter = True
    fallback: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except (Retry, Ignore, Reject):
            raise
        except Exception as error:
            if self.fallback is None or self.request.called_directly:
                raise
            value = self.fallback(error, *args, **kwargs)
            give_up(self, error, fallback=True)
            return value

    def retry(self, *args: Any, exc: Any = None, countdown: float | None = None, **options: Any) -> Any:
        """Try again later; see celery.Task.retry. Raises Retry, or `exc` when `max_retries` are used up."""
        wanted = getattr(exc, "retry_after", None)
        if wanted is not None:
            # Not earlier than asked for, and not together with everybody else who was told the same.
            countdown = float(wanted) * random.uniform(1, 1.1)  # noqa: S311  a pause, not a secret
        if countdown is not None:
            countdown = max(SHORTEST, min(countdown, self.retry_backoff_max))
        return super().retry(*args, exc=exc, countdown=countdown, **options)
