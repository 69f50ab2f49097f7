"""Redis behind Sentinel: REDIS_URL=sentinel://USER@HOST:26379/DB;sentinel://..., and what each library calls its parts.

REDIS_PASSWORD_FILE is the password of the servers; SENTINEL_PASSWORD_FILE that of the sentinels, where they have one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from celery_runtime.settings import RuntimeSettings

PORT = 26379


def transport_options(settings: RuntimeSettings) -> dict[str, Any]:
    """What kombu and Celery's result backend ask for; nothing when REDIS_URL names a server."""
    if not settings.redis_url.startswith("sentinel://"):
        return {}
    return {"master_name": settings.redis_master} | _sentinel_login(settings)


def redbeat_options(settings: RuntimeSettings) -> dict[str, Any]:
    """The settings of RedBeat that say where its schedule and its lock are."""
    if not settings.redis_url.startswith("sentinel://"):
        return {"redbeat_redis_url": settings.redis}
    urls = [urlsplit(url) for url in settings.redis.split(";")]
    options = {
        "sentinels": [(url.hostname, url.port or PORT) for url in urls],
        "service_name": settings.redis_master,
        "username": urls[0].username or None,
        "password": unquote(urls[0].password) if urls[0].password else None,
        "db": int(urls[0].path.strip("/") or 0),
    }
    return {"redbeat_redis_url": "redis-sentinel", "redbeat_redis_options": options | _sentinel_login(settings)}


def _sentinel_login(settings: RuntimeSettings) -> dict[str, Any]:
    if settings.sentinel_password is None:
        return {}
    return {"sentinel_kwargs": {"password": settings.sentinel_password.get_secret_value()}}
