"""Redis as the broker: what Celery must be told so that it loses no message there.

Figures and reasons come from measurements with Celery 5.7.0 and kombu 5.7.0.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Exchange
from kombu import Queue as KombuQueue
from kombu.transport import redis as stock
from redis.exceptions import ConnectionError as RedisConnectionError

from celery_runtime.queues import Queue
from celery_runtime.redis_transport.putting import put_directly
from celery_runtime.sentinel import transport_options
from celery_runtime.settings import RuntimeSettings

BARE_VISIBILITY_TIMEOUT = 3600  # seconds, kombu's default: without a lease it must exceed the longest task


def configuration(settings: RuntimeSettings, queues: dict[str, Queue]) -> dict[str, Any]:
    """Return the settings of Celery for this broker and these queues."""
    timeout = visibility_timeout(settings, queues)
    transport = {
        "visibility_timeout": timeout,
        # Without time-outs a worker was still waiting on a silent connection after 200 s. Half a minute must be enough
        # for the check of a silent connection (twice its interval), a sweep that runs into it, and a new handshake.
        "socket_timeout": 5,
        "socket_connect_timeout": 4,
        "socket_keepalive": True,
        "health_check_interval": 5,
        # A killed worker's messages come back one sweep after the visibility timeout: 5 s, not 100 s.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "max_connections": 200,  # one for each list that is waited on; kombu's 10 are two queues with priorities
        **transport_options(settings),
    }
    return {
        "task_queues": [KombuQueue(name, Exchange(name, type="direct"), routing_key=name) for name in queues],
        "broker_transport_options": transport,
        # The claim takes no more than the pool has room for; kombu's BRPOP must be held back.
        "worker_disable_prefetch": not settings.has("claim"),
        # What runs keeps its message while the connection is made again.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_prefetch_count_reduction": not settings.has("claim"),
    }


def install(app: Celery, settings: RuntimeSettings, queues: dict[str, Queue]) -> None:
    """Let the workers of `app` claim their messages and renew them; let every process know a lost connection as one."""
    _tell_of_lost_connections()
    put_directly()
    app.celery_runtime_claims = settings.has("claim")
    if settings.has("claim"):
        from celery_runtime import lease
        from celery_runtime.direct import step

        claiming = lease.install_step(app, visibility_timeout(settings, queues), renew=leased(settings))
        step.install_step(app, claiming)


def _tell_of_lost_connections() -> None:
    """Over a channel whose connection was closed, kombu publishes into an AttributeError, which nobody retries."""
    parameters = stock.Channel._connparams
    if hasattr(parameters, "tells"):
        return

    def told(channel: Any, *args: Any, **kwargs: Any) -> Any:
        if channel.connection is None:
            raise RedisConnectionError("the connection was closed meanwhile")
        return parameters(channel, *args, **kwargs)

    told.tells = True  # type: ignore[attr-defined]
    stock.Channel._connparams = told


def visibility_timeout(settings: RuntimeSettings, queues: dict[str, Queue]) -> int:
    """Seconds after which an unacknowledged message that nobody renews goes back to its queue."""
    if leased(settings):
        return settings.visibility_timeout
    longest = max(queue.grace for queue in queues.values())
    return max(BARE_VISIBILITY_TIMEOUT, 2 * longest)


def leased(settings: RuntimeSettings) -> bool:
    """Whether workers renew what they hold; only what was claimed can be renewed."""
    return settings.has("claim") and settings.has("lease")
