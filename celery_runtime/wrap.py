"""The app that CELERY_APP names, unchanged, with the runtime installed: `celery -A celery_runtime.wrap worker`."""

from __future__ import annotations

from celery_runtime.cli import load_app
from celery_runtime.settings import RuntimeSettings, load

app = load_app(load(RuntimeSettings).celery_app)
