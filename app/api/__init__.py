"""The producer: an HTTP API that answers at once and leaves the work to Celery. `python -m app.api` serves it."""
