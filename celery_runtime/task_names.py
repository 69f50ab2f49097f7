"""Names of tasks that people type."""

from __future__ import annotations

import difflib

from celery import Celery

from celery_runtime.settings import ConfigError


def check_task(app: Celery, name: str) -> None:
    """Raise ConfigError, with the nearest names, unless `app` has a task of that name."""
    app.loader.import_default_modules()
    if name in app.tasks:
        return
    near = difflib.get_close_matches(name, app.tasks, n=3, cutoff=0.5)
    near = near or [known for known in sorted(app.tasks) if not known.startswith("celery.")][:3]
    raise ConfigError(f"TASK = {name!r} is no task of this app.\n  Did you mean {' or '.join(near)}?")
