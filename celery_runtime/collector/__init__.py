"""What waits in each queue, for how long, and who serves it, as gauges for Prometheus: a process of its own.

Workers cannot tell: where none runs, nothing counts what waits. This one asks the broker every LOOK seconds, and keeps
a series for each queue of queues.toml, so that a queue without workers shows 0 and is not missing. It only reads: one
is needed, a second one shows the same numbers, and rules take the larger of both. While the broker does not answer,
`celery_broker_up` is 0 and the numbers of queues are missing: old ones would say that all is well.

`celery_queue_ready` + `celery_queue_in_flight` is the work of a queue, for whatever scales its workers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from celery import Celery
from celery.utils.log import get_logger

from celery_runtime import metrics
from celery_runtime.queues import Queue

LOOK = 5.0  # seconds between two looks; a third of the usual interval of scrapes
log = get_logger(__name__)


class QueueNumbers(NamedTuple):
    """oldest: seconds. by_priority: waiting messages by priority step, where the broker knows that."""

    ready: int = 0
    in_flight: int = 0
    consumers: int = 0
    dead_letters: int = 0
    oldest: float = 0.0
    by_priority: Mapping[str, int] = {}


class Numbers(NamedTuple):
    """delayed: messages that the broker keeps for later, of all queues."""

    queues: Mapping[str, QueueNumbers]
    delayed: int = 0


class Collector:
    """broker: asked with `look(queues)`, which returns Numbers. redis: asked with `info()`."""

    def __init__(self, queues: Mapping[str, Queue], broker: Any, redis: Any) -> None:
        self.queues = queues
        self.broker = broker
        self.redis = redis
        self.numbers: Numbers | None = None
        self.info: Mapping[str, Any] | None = None
        self.last = 0.0

    def look(self) -> bool:
        """Ask once; returns whether the broker answered."""
        self.numbers = self._try("broker", lambda: self.broker.look(list(self.queues)))
        self.info = self._try("redis", self.redis.info)
        if self.numbers is not None:
            self.last = time.time()
        return self.numbers is not None

    def show(self) -> None:
        """Let the metrics of this process show what was seen last."""
        for server in ("broker", "redis"):
            metrics.count("collector_errors", 0, server=server)
        for name in ("ready", "in_flight", "consumers", "dead_letters"):
            metrics.gauge(f"queue_{name}", lambda name=name: self._of_queues(name))  # type: ignore[misc]
        metrics.gauge("queue_oldest_seconds", lambda: self._of_queues("oldest"))
        metrics.gauge("queue_ready_by_priority", self._by_priority)
        metrics.gauge("queue_age_target_seconds", lambda: self._of_settings(lambda queue: queue.age_target))
        metrics.gauge("queue_time_limit_seconds", lambda: self._of_settings(lambda queue: queue.time_limit))
        metrics.gauge("queue_slots_max", lambda: self._of_settings(lambda queue: queue.slots_max))
        metrics.gauge("delayed", self._delayed)
        metrics.gauge("broker_up", lambda: float(self.numbers is not None))
        metrics.gauge("collector_last_look_timestamp_seconds", lambda: self.last)
        metrics.gauge("redis_up", lambda: float(self.info is not None))
        for name, value in REDIS.items():
            metrics.gauge(f"redis_{name}", lambda value=value: value(self.info))  # type: ignore[misc]

    def _try(self, server: str, ask: Any) -> Any:
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next look may go well
            log.warning("collector: %s does not answer, trying again in %g s: %s", server, LOOK, error)
            metrics.count("collector_errors", server=server)
            return None

    def _of_queues(self, name: str) -> dict[tuple[str, ...], float]:
        numbers = self.numbers
        return {(queue,): getattr(each, name) for queue, each in numbers.queues.items()} if numbers else {}

    def _delayed(self) -> float:
        if self.numbers is None:
            raise LookupError  # nothing is shown
        return self.numbers.delayed

    def _by_priority(self) -> dict[tuple[str, ...], float]:
        queues = self.numbers.queues if self.numbers else {}
        return {(queue, step): count for queue, each in queues.items() for step, count in each.by_priority.items()}

    def _of_settings(self, value: Any) -> dict[tuple[str, ...], float]:
        return {(name,): value(queue) for name, queue in self.queues.items()}


def _writes_well(info: Mapping[str, Any]) -> float:
    log_is_well = not info["aof_enabled"] or info["aof_last_write_status"] == info["aof_last_bgrewrite_status"] == "ok"
    return float(log_is_well and info["rdb_last_bgsave_status"] == "ok")


REDIS: dict[str, Any] = {
    "memory_used_bytes": lambda info: info["used_memory"],
    "memory_max_bytes": lambda info: info["maxmemory"],
    "evicted_keys": lambda info: info["evicted_keys"],
    "clients": lambda info: info["connected_clients"],
    "persistence_ok": _writes_well,
}


def run(app: Celery) -> int:
    """Look and answer at HEALTH_PORT until the process is told to end. Raises ConfigError."""
    from celery_runtime.health import Pulse, State, serve
    from celery_runtime.queues import load_queues
    from celery_runtime.redis_store import redis_of
    from celery_runtime.settings import RuntimeSettings, load

    settings = load(RuntimeSettings)
    queues = load_queues(settings.queues_file)
    pulse = Pulse()
    metrics.watch(pulse)
    collector = Collector(queues, _broker(app, settings), redis_of(app))
    collector.show()
    if settings.health_port:
        serve(pulse, settings.health_address, settings.health_port, metrics.exposition)
    while True:
        pulse.move(State.READY if collector.look() else State.RECONNECTING)
        time.sleep(LOOK)


def _broker(app: Celery, settings: Any) -> Any:
    if settings.broker == "redis":
        from celery_runtime.collector.redis import RedisBroker

        return RedisBroker(app)
    from celery_runtime.collector.rabbitmq import RabbitMQBroker

    return RabbitMQBroker(settings.rabbitmq_management)
