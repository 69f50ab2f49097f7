"""Put the broker, the queues and the safe settings on a Celery app.

Figures and reasons come from measurements with Celery 5.7.0 and kombu 5.7.0; the defaults that are replaced here lose
tasks, wait for ever on dead connections, or end the worker when the broker fails over.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from celery import Celery, Task
from celery.signals import worker_before_create_process
from kombu.utils.url import maybe_sanitize_url

from celery_runtime import direct, publish_metrics, publishing, rabbitmq, redis_transport, tracing
from celery_runtime.own_settings import announce, own_settings, settle
from celery_runtime.queues import Queue, load_queues
from celery_runtime.sentinel import transport_options
from celery_runtime.settings import ConfigError, RuntimeSettings, load
from celery_runtime.tasks import RETRY_DELAY, signals
from celery_runtime.tasks.size import limit_arguments

RESULT_EXPIRES = 86_400  # seconds
_SETTLE_DOWN = f"{__name__}.settle_down"
# What holds for every app, whatever its broker and its queues.
SAFE_SETTINGS: dict[str, Any] = {
    "timezone": "UTC",
    # JSON only: a pickle from the broker could run anything.
    "accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    # A queue that no worker serves is refused instead of filling up unseen.
    "task_create_missing_queues": False,
    # A message is acknowledged after its task ended, so that a killed worker loses none.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_retry_on_worker_lost": True,  # a task that kills its pool child is tried max_retries times, not for ever
    # Nothing waits behind a long task that another worker could start.
    "worker_prefetch_multiplier": 1,
    "worker_eta_task_limit": 1000,
    # Celery's, that counts what waits in the worker; in the direct pool nothing does.
    "worker_autoscaler": "celery_runtime.direct.autoscaler:Autoscaler",
    # A broker that is away for longer than Celery's 100 tries must not end the workers.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,  # READONLY after a failover of Redis is a channel error
    "broker_connection_timeout": 4,
    "broker_heartbeat": 10,  # seconds, of RabbitMQ; 120 by default
    "result_expires": RESULT_EXPIRES,
    "result_backend_always_retry": True,
    "redis_socket_timeout": 10,
    "redis_socket_connect_timeout": 4,
    "redis_socket_keepalive": True,
    "redis_backend_health_check_interval": 10,
    "beat_scheduler": "celery_runtime.beat:Scheduler",
    "beat_max_loop_interval": 5,
    "redbeat_lock_timeout": 30,  # seconds; at least 5 loops, or the lock is lost while Beat sleeps (redbeat#230)
}


def install_on(app: Celery) -> Celery:
    """Configure `app` in place from the environment and queues.toml, once; returns it. Raises ConfigError."""
    if getattr(app, "celery_runtime_installed", False):
        return app
    settings = load(RuntimeSettings)
    queues = load_queues(settings.queues_file)
    app.celery_runtime_installed = True  # before anything reads the app's settings, which our loader answers with this
    broker = redis_transport if settings.broker == "redis" else rabbitmq
    _refuse_hidden_broker(settings.broker_url)
    own = own_settings(app)
    ours = _common(settings, own, list(queues)) | broker.configuration(settings, queues)
    settled, overrides = settle(own, ours, settings.kept_settings)
    app.conf.update(settled)
    announce(overrides)
    Task.default_retry_delay = RETRY_DELAY  # of Celery's own class: a base class of the app's need not be app.Task's
    if settings.has("results"):
        from celery_runtime import results

        results.install(app)
    direct.install_name()
    _install_steps(app, settings, queues)
    if settings.has("metrics"):
        publish_metrics.install(app)
    if settings.has("publishing"):
        publishing.install(app)
        limit_arguments(app, settings.max_arguments_kib)
    tracing.install(app, settings.tracing_url, own)
    signals.connect()
    worker_before_create_process.connect(_settle_down, weak=False, dispatch_uid=_SETTLE_DOWN)
    return app


def _common(settings: RuntimeSettings, own: dict[str, Any], queues: list[str]) -> dict[str, Any]:
    default = own.get("task_default_queue", "default")
    return SAFE_SETTINGS | {
        "broker_url": settings.broker_url,
        "broker_read_url": None,
        "broker_write_url": None,
        "result_backend": settings.redis,
        "result_backend_transport_options": transport_options(settings),
        "task_default_queue": default if default in queues else queues[0],
    }


def _refuse_hidden_broker(url: str) -> None:
    """Celery takes these variables above everything that an app or its runtime sets."""
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
        if os.environ.get(name) not in {None, "", url}:
            raise ConfigError(
                f"{name} = {maybe_sanitize_url(os.environ[name])!r} is another broker than that of BROKER.\n"
                "  Remove it, and name the broker in REDIS_URL or RABBITMQ_URL."
            )


def _settle_down(**_: Any) -> None:
    """Before the first fork, take what the worker consists of out of the garbage collection that Celery does at each.

    It is never garbage: looking through it holds up the loop for 20 to 40 ms whenever a pool child is replaced, and
    writes to memory that the children share.
    """
    worker_before_create_process.disconnect(dispatch_uid=_SETTLE_DOWN)
    gc.collect()
    gc.freeze()


def _install_steps(app: Celery, settings: RuntimeSettings, queues: dict[str, Queue]) -> None:
    from celery_runtime import (
        consumers,
        dead_letters,
        drain,
        event_batches,
        health,
        metrics,
        notify,
        task_metrics,
    )
    from celery_runtime.metrics.times import use_bounds

    event_batches.install_step(app)
    pulse = health.Pulse()
    if settings.has("metrics"):
        use_bounds(settings.bucket_bounds)
        task_metrics.install(app, queues)
        metrics.watch(pulse)
    if settings.has("health"):
        notify.install(app, pulse, queues)
        exposition = metrics.exposition if settings.has("metrics") else None
        health.install_steps(app, pulse, settings.health_address, settings.health_port, exposition)
        if settings.broker == "redis":
            consumers.install_step(app)
    if settings.broker == "redis":
        redis_transport.install(app, settings, queues)
    else:
        rabbitmq.install(app)
    if settings.has("dead-letters"):
        dead_letters.install(app, settings)
    if settings.has("drain"):
        drain.install_step(app, pulse, queues)
