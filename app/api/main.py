"""The API's parts, put together."""

from fastapi import FastAPI

from app.api import errors, faults, health, images, metrics, posts, tasks, users
from app.api.limits import BodyLimit
from app.settings import settings
from app.submit import fail_fast


def create() -> FastAPI:
    """Return the ASGI application; it needs neither broker nor database to start. Raises ConfigError."""
    api = FastAPI(
        title="Celery Blueprint",
        description="Users, posts and pictures; what takes time is done by Celery.",
        # A body without a Content-Type is read as JSON.
        strict_content_type=False,
    )
    for module in (users, posts, images, tasks, faults, health, metrics):
        api.include_router(module.router)
    errors.install(api)
    api.add_middleware(BodyLimit, max_upload=settings().max_upload_bytes)
    api.add_middleware(metrics.Metrics)
    fail_fast()
    return api
