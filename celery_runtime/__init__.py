"""What a Celery app needs in production, for any Celery app.

Importing this package is cheap on purpose: health checks start a Python process every few seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["install"]


def install(app: Celery) -> Celery:
    """Give `app` its broker, results, queues and safe settings from the environment; returns `app`.

    Raises ConfigError when a variable, a secret file or queues.toml is missing or wrong, and
    when the installed Celery does not fit.
    """
    from celery_runtime.versions import check

    check()  # before anything of Celery's inner parts is imported
    from celery_runtime.installation import install_on

    return install_on(app)
