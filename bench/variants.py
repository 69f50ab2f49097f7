"""What is compared: stock Celery in three ways, the blueprint's pools, and five other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from redis import Redis

from bench.servers import ROOT
from celery_runtime.queues import Queue

PEERS_PYTHON = ROOT / ".venv-bench/bin/python"
TRACING = ROOT / ".venv-tracing/lib"  # OpenTelemetry, which others are measured without
Count = Callable[["Redis"], int]


def _keys(redis: Redis) -> int:
    """One more for each task: its result."""
    return int(redis.dbsize())


def _huey_results(redis: Redis) -> int:
    return int(redis.hlen("huey.results.bench"))


def _arq_taken(redis: Redis) -> int:
    """Its results take the place of its jobs, so the number of keys stays; the queue shrinks."""
    return -int(redis.zcard("arq:queue"))


@dataclass(frozen=True)
class Variant:
    """One way to run tasks.

    pace: about how many times as fast as stock; so many times more tasks are queued for it, to measure for as long.
    count: grows by one with each finished task.
    """

    name: str
    pace: float
    count: Count = _keys


@dataclass(frozen=True)
class Stock(Variant):
    """Celery alone; `safe`: late acknowledgement and prefetch 1; `events`: those of the worker and of the sender."""

    safe: bool = False
    events: bool = False


@dataclass(frozen=True)
class Blueprint(Variant):
    """Celery with the runtime; `off`: parts of it that are switched off. All are safe and, with metrics, scraped.

    traced: each task has its span, none is left out.
    """

    pool: str = "prefork"
    events: bool = False
    off: str = ""
    traced: bool = False


@dataclass(frozen=True)
class Peer(Variant):
    """Another library: `command` is what its python runs."""

    command: tuple[str, ...] = ()


STOCK = Stock("stock", 1)
STOCK_SAFE = Stock("stock-safe", 1, safe=True)
STOCK_MONITORED = Stock("stock-monitored", 0.7, events=True)
PREFORK = Blueprint("prefork", 2)
PREFORK_EVENTS = Blueprint("prefork-events", 1.5, events=True)
PREFORK_TRACED = Blueprint("prefork-traced", 1.5, traced=True)
PREFORK_PLAIN = Blueprint("prefork-plain", 2, off="metrics")
THREADS = Blueprint("threads", 1, pool="threads")
DIRECT = Blueprint("direct", 6, pool="direct")
DIRECT_EVENTS = Blueprint("direct-events", 6, pool="direct", events=True)
DIRECT_TRACED = Blueprint("direct-traced", 3, pool="direct", traced=True)
DIRECT_PLAIN = Blueprint("direct-plain", 6, pool="direct", off="metrics")

_DRAMATIQ = ("-m", "dramatiq", "bench.peers.dramatiq", "--processes", "2", "--threads", "8")
_TASKIQ = ("-m", "taskiq", "worker", "bench.peers.taskiq:broker", "--workers", "2")
_HUEY = ("-m", "huey.bin.huey_consumer", "bench.peers.huey.queue", "-w", "2", "-k", "process", "-q")
_RQ = ("-m", "rq.cli", "worker-pool", "-n", "2", "--quiet", "--url", "{redis_url}")
FAST_PEERS = (
    Peer("dramatiq", 4, command=_DRAMATIQ),
    Peer("taskiq", 4, command=_TASKIQ),
    Peer("huey", 6, command=_HUEY, count=_huey_results),
)
PEERS = (
    *FAST_PEERS,
    Peer("rq", 0.2, command=_RQ),
    Peer("arq", 0.3, command=("-m", "arq", "bench.peers.arq.Worker"), count=_arq_taken),
)


def missing(variant: Variant, broker: str) -> str | None:
    """Why `variant` cannot be measured on `broker`, or None."""
    if isinstance(variant, Peer) and broker != "redis":
        return "measured on Redis only"
    if isinstance(variant, Peer) and not PEERS_PYTHON.exists():
        return "its environment is missing: make .venv-bench/ready"
    if not isinstance(variant, Blueprint) or variant.pool != "direct":
        return None
    if "direct" not in _pools():
        return "this version of the runtime has no direct pool"
    return None


def _pools() -> tuple[Any, ...]:
    return get_args(Queue.model_fields["pool"].annotation)
