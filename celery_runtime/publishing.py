"""Publish within a bounded time where somebody waits for an answer, and for as long as it takes where nobody does.

A worker or a Beat that cannot reach its broker has nobody to tell, and what it gave up would be lost. A web request
has somebody, who should know within PUBLISH_TIMEOUT. Not every way in which a broker can be away has a time-out of its
own: a name server that does not answer, a queue that is declared on a paused RabbitMQ. So a bounded call runs in a
thread that is given up, and that stops trying once it was.

An error says that nothing was confirmed, not that nothing arrived: what a paused broker had already received, it
delivers when it goes on.

Read in Celery 5.7.0 and kombu 5.7.0: kombu/connection.py, `ensure` (what a retry policy may hold) and
`_extract_failover_opts` (the time-out of a first connection); celery/app/amqp.py, `_callback_publish_max_retries`, and
celery/backends/redis.py, `_chord_publish_claim_expires`; celery/app/base.py, `_backend` (one for each thread).
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from functools import cache
from threading import Thread
from typing import Any, TypeVar

from amqp import AMQPError
from amqp.exceptions import AccessRefused
from celery import Celery
from celery.canvas import Signature
from celery.exceptions import BackendError
from celery.signals import before_task_publish, worker_init, worker_process_init, worker_ready
from celery.states import PENDING
from kombu.exceptions import EncodeError, KombuError, OperationalError
from redis.exceptions import AuthenticationError, OutOfMemoryError, RedisError

from celery_runtime.batches import batching, producers
from celery_runtime.settings import RuntimeSettings, load

# Pauses between tries (s). A first try over a fresh connection ends on its own after about 5 s.
BOUNDED = {"max_retries": 5, "interval_start": 0, "interval_step": 0.5, "interval_max": 2}
PATIENT = {**BOUNDED, "max_retries": None}
LOOK = 0.5  # seconds between two looks at a call's progress

AWAY = (KombuError, AMQPError, RedisError, BackendError, OSError)
T = TypeVar("T")


class BrokerAwayError(Exception):
    """The broker or the result store cannot be used now; the text says in what way and what to do.

    accepted: how many messages of the call were confirmed before.
    """

    def __init__(self, reason: str, accepted: int = 0) -> None:
        super().__init__(reason)
        self.accepted = accepted


def install(app: Celery) -> None:
    """Let the workers of `app` publish patiently, and every other process within bounds."""
    app.conf.task_publish_retry_policy = BOUNDED
    producers.install(app)

    def be_patient(**_: Any) -> None:
        publish_patiently(app)

    def spare_the_loop(sender: Any, **_: Any) -> None:
        """With a pool of processes the main one publishes from its loop only, to repeat the task of a lost child."""
        if getattr(sender.pool, "publishes_in_loop", hasattr(sender.pool._pool, "outbound_buffer")):  # noqa: SLF001
            app.conf.task_publish_retry_policy = BOUNDED  # or it requeues the message

    worker_init.connect(be_patient, weak=False)
    worker_process_init.connect(be_patient, weak=False)
    worker_ready.connect(spare_the_loop, weak=False)


def publish_patiently(app: Celery) -> None:
    """Let this process wait for the broker when it publishes: a task or a Beat entry has nobody to report to."""
    app.conf.task_publish_retry_policy = PATIENT
    # A process without a connection would give up after `broker_connection_timeout`, whatever the policy says.
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "connect_retries_timeout": None}
    before_task_publish.connect(_keep_trying, weak=False, dispatch_uid=f"{__name__}.keep_trying")


def _keep_trying(retry_policy: dict[str, Any], **_: Any) -> None:
    """Say "for ever" in the one way that holds for the next task of a chain too: for it, None stands for 3 tries.

    Not in the settings: from there Celery reckons, try by try, how long a chord's body may take to be published.
    """
    if retry_policy.get("max_retries", 0) is None:
        retry_policy["max_retries"] = sys.maxsize


def publish(app: Celery, tasks: Iterable[Signature], timeout: float | None = None, *, pending: bool = False) -> int:
    """Publish `tasks` through one connection, in order and in batches; returns how many.

    timeout: seconds without a confirmation after which it gives up; by default PUBLISH_TIMEOUT.
    pending: record each task_id as PENDING before, so that an id that was never given out is told apart from one whose
    task still waits; the record goes when the task was not accepted.
    Raises BrokerAwayError that knows how many were confirmed, and what `tasks` raises.
    """
    return _Call(app, lambda call: _publish_all(app, call, tasks, pending), timeout).wait().progress


def bounded(app: Celery, work: Callable[[], T], timeout: float | None = None) -> T:
    """Return what `work` returns, which asks the broker or the result store of `app`.

    timeout: seconds after which it is given up, while it may go on in its thread; by default PUBLISH_TIMEOUT.
    Raises BrokerAwayError, and what `work` raises for other reasons.
    """
    result: T = _Call(app, lambda _: work(), timeout).wait().value
    return result


@cache
def publish_timeout() -> float:
    """PUBLISH_TIMEOUT in seconds, read once. Raises ConfigError."""
    return load(RuntimeSettings).publish_timeout


class _Call(Thread):
    """Runs `work(self)`; it counts `progress`, and stops early once it is `abandoned`."""

    def __init__(self, app: Celery, work: Callable[[_Call], Any], timeout: float | None) -> None:
        super().__init__(daemon=True)
        self.app, self.backend = app, app.backend
        self.work, self.timeout = work, publish_timeout() if timeout is None else timeout
        self.context = copy_context()  # a trace goes on in the thread
        self.value: Any = None
        self.progress, self.abandoned = 0, False
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        # That of the thread that waits: another for each call would take 1.5 ms and a connection of its own.
        self.app._backend = self.backend  # noqa: SLF001
        try:
            self.value = self.context.run(self.work, self)
        except Exception as error:  # noqa: BLE001 -- raised again in the thread that waits
            self.error = error

    def wait(self) -> _Call:
        seen, since = 0, time.monotonic()
        while self.is_alive() and (left := since + self.timeout - time.monotonic()) > 0:
            self.join(min(left, LOOK))
            if self.progress != seen:
                seen, since = self.progress, time.monotonic()
        if self.is_alive():
            self.abandoned = True
            raise BrokerAwayError(
                f"no answer for {self.timeout:g} s: it is paused, cut off, or its memory or disk is full."
                " Look at the broker's log; PUBLISH_TIMEOUT sets how long to wait",
                self.progress,
            )
        if isinstance(self.error, AWAY) and not isinstance(self.error, EncodeError):
            raise BrokerAwayError(explain(self.error), self.progress) from self.error
        if self.error:
            raise self.error
        return self

    def advance(self) -> None:
        self.progress += 1

    def stop_if_abandoned(self, error: Exception, _interval: float) -> None:
        """End the tries to reach the broker; kombu calls it between two of them."""
        if self.abandoned:
            raise error

    def stop_if_too_late(self, _channel: Any) -> None:
        """End them too when the broker is back, but nobody waits any more."""
        if self.abandoned:
            raise OperationalError("the broker is back too late")


def _publish_all(app: Celery, call: _Call, tasks: Iterable[Signature], pending: bool) -> None:
    policy = {
        **app.conf.task_publish_retry_policy,
        "errback": call.stop_if_abandoned,
        "on_revive": call.stop_if_too_late,
    }
    pool = app.producer_pool.acquire(block=True, timeout=call.timeout)
    with pool as producer, batching(producer, policy) as batch:
        for task in tasks:
            if call.abandoned:
                batch.abort()
                return
            with _recorded(app, task) if pending else nullcontext():
                # py-amqp would wait for ever for the confirmation of a broker that is paused.
                task.apply_async(producer=producer, confirm_timeout=call.timeout, retry_policy=policy)
                if pending:
                    batch.flush()
            batch.after(call.advance)
            batch.flush_if_due()


@contextmanager
def _recorded(app: Celery, task: Signature) -> Iterator[None]:
    task_id = task.options["task_id"]
    app.backend.store_result(task_id, None, PENDING)
    try:
        yield
    except Exception:
        app.backend.forget(task_id)
        raise


def explain(error: BaseException) -> str:
    """Say in what way the broker or the result store is away, and what to do."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    for kinds, remedy in REMEDIES:
        for found in chain:
            if isinstance(found, kinds):
                return f"{found}. {remedy}"
    return f"{error}. Look at the broker's log"


REMEDIES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (OutOfMemoryError, "Redis has reached its maxmemory: raise it, or let the workers catch up"),
    ((AuthenticationError, AccessRefused), "Correct the user or the password file of the broker's URL"),
    (socket.gaierror, "Correct the host in the broker's URL, or start what has that name"),
    (ConnectionRefusedError, "Start the broker, or correct the port in its URL"),
)
