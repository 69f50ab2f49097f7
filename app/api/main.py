"""The API's parts, put together."""

from fastapi import FastAPI

from app.api import bills, document, errors, faults, health, images, metrics, posts, schedule, search, tasks, users
from app.api.browsers import Browsers
from app.api.limits import BodyLimit
from app.settings import settings
from app.submit import fail_fast
from app.web import pages
from celery_runtime import tracing


def create() -> FastAPI:
    """Return the ASGI application; it needs neither broker nor database to start. Raises ConfigError."""
    api = FastAPI(
        title="Celery Blueprint",
        description="Users, posts and pictures; what takes time is done by Celery.",
        # A body without a Content-Type is read as JSON.
        strict_content_type=False,
        # Theirs load scripts from elsewhere; ours is in `app/web/`.
        docs_url=None,
        redoc_url=None,
    )
    for module in (users, posts, search, images, bills, schedule, tasks, faults, health, metrics, pages):
        api.include_router(module.router)
    api.mount("/static", pages.static)
    document.install(api)
    errors.install(api)
    api.add_middleware(BodyLimit, max_upload=settings().max_upload_bytes)
    api.add_middleware(Browsers)
    api.add_middleware(metrics.Metrics)
    fail_fast()
    if tracing.is_on():
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(api, excluded_urls="healthz,metrics", exclude_spans=["receive", "send"])
    return api
