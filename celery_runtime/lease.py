"""Keep the messages that a worker holds on Redis, for as long as it lives and no longer.

A message that is not renewed within the visibility timeout belongs to a dead worker and goes back to its queue. kombu
sets its age once, so that the timeout must be longer than any task, and a killed worker's tasks wait for it: an hour.
Here a thread renews what is held four times per timeout, whatever the event loop, the pool or a task of the solo pool
does meanwhile. When a connection breaks, running tasks keep their messages and the next connection goes on with them.

A worker that was suspended for longer than the timeout finds its messages gone. It says so, stops the tasks (where the
pool can) and acknowledges nothing: another worker has them. Read in Celery 5.7.0: celery/worker/consumer/consumer.py,
`on_connection_error_after_connected`; celery/worker/request.py, `cancel`.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

from celery import Celery, bootsteps
from celery.exceptions import WorkerShutdown
from celery.utils.log import get_logger
from celery.worker import state
from redis.exceptions import RedisError

from celery_runtime import forking, metrics
from celery_runtime.redis_transport.held import Held
from celery_runtime.redis_transport.steps import Steps
from celery_runtime.redis_transport.transport import use_claims
from celery_runtime.unstarted import hear_of_starts, keep_results, keep_transfers, show_running, withdraw_all

RENEWALS = 4  # per visibility timeout: three may fail
RETRY = 1.0  # seconds until the next try when Redis did not answer
OLDEST = (6, 2)  # of Redis
log = get_logger(__name__)


class Lease:
    """Renews what `held` has, from a thread and over connections of its own.

    visibility_timeout: seconds.
    """

    def __init__(self, held: Held, visibility_timeout: float) -> None:
        self.held = held
        self.interval = visibility_timeout / RENEWALS
        self.steps: Steps | None = None
        self._ended = threading.Event()
        self._lost: list[str] = []

    def begin(self) -> None:
        threading.Thread(target=self._run, name="lease", daemon=True).start()

    def end(self) -> None:
        self._ended.set()

    @forking.hold_off()
    def renew(self) -> None:
        """Renew once; what is gone is not held any more. Raises RedisError or OSError when Redis does not answer."""
        if self.steps is None:
            return
        of_children = set(self.held.of_children())
        lost = self.steps.renew(self.held.by_queue())
        metrics.count("lease_renewals")
        still = set(self.held.of_children()) if lost else of_children
        for queue, tag in lost:
            message = self.held.messages.get(tag)
            ours = self.held.drop(tag) is not None
            if (queue, tag) in of_children:
                ours = (queue, tag) in still
            if ours:  # and not just acknowledged
                task = message.headers.get("id", tag) if message else tag
                log.warning("lease: %s is not ours any more and runs again elsewhere: not acknowledged", task)
                metrics.count("lease_lost")
                self._lost.append(tag)

    def take_lost(self) -> set[str]:
        """The delivery tags that were lost since the last call."""
        lost, self._lost = self._lost, []
        return set(lost)

    def _run(self) -> None:
        wait = self.interval
        while not self._ended.wait(wait):
            try:
                self.renew()
                wait = self.interval
            except (RedisError, OSError) as error:
                log.warning("lease: not renewed, trying again in %s s: %s", RETRY, error)
                wait = RETRY


def install_step(app: Celery, visibility_timeout: float, *, renew: bool) -> type:
    """Let the workers of `app` claim their messages; `renew` keeps them for longer than `visibility_timeout` (s).

    Returns the step of their consumers.
    """
    held = Held(outlives=renew)
    lease = Lease(held, visibility_timeout)

    class Step(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "Lease"
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, consumer: Any, **kwargs: Any) -> None:
            super().__init__(consumer, **kwargs)
            use_claims()
            _check_every_server(consumer)
            _keep_running_tasks(consumer, held)
            keep_results(consumer.pool)
            keep_transfers(consumer.hub)

        def start(self, consumer: Any) -> None:
            if renew:
                channel = consumer.task_consumer.channel
                channel.take_over(held)
                if lease.steps is None:
                    lease.begin()
                lease.steps = Steps(channel, channel._get_pool())  # noqa: SLF001 -- a pool that outlives the channel
                consumer.timer.call_repeatedly(1, _stop_lost, (consumer, lease))

        def shutdown(self, consumer: Any) -> None:
            held.outlives = False
            lease.end()

    app.steps["consumer"].add(Step)
    return Step


def _keep_running_tasks(consumer: Any, held: Held) -> None:
    """When the connection breaks, keep the messages of running tasks and hand back all others on the next one."""
    clean_up = consumer.on_connection_error_after_connected

    # What runs is neither cancelled nor delivered again, which Celery cannot know.
    warnings.filterwarnings("ignore", r"\s*In Celery 5\.1 we introduced an optional breaking change")

    def lose(error: Exception) -> None:
        if held.outlives and consumer.task_consumer:
            hear_of_starts(consumer)
            withdraw_all(consumer)
            # Prefork forgets what it cannot withdraw any more but its child has not begun; threads run it.
            forgets = hasattr(consumer.pool._pool, "outbound_buffer")  # noqa: SLF001
            running = state.active_requests if forgets else state.reserved_requests
            held.keep_only({request.message.delivery_tag for request in tuple(running)})
            consumer.task_consumer.channel.lost = True
        clean_up(error)

    consumer.on_connection_error_after_connected = lose


def _stop_lost(consumer: Any, lease: Lease) -> None:
    """End the tasks whose messages were lost, so that no second worker completes them too."""
    lost = lease.take_lost()
    if lost:
        withdraw_all(consumer, lost)
        show_running(consumer)
    for request in tuple(state.active_requests) if lost else ():
        if request.message.delivery_tag in lost:
            try:
                request.cancel(consumer.pool, emit_retry=False)
            except NotImplementedError:
                log.warning("lease: this pool cannot stop the task %s, which may complete twice", request.id)


def _check_every_server(consumer: Any) -> None:
    """Look at the server before anything is declared there, which a Redis Cluster refuses in words of its own."""
    connect = consumer.connect

    def connect_to_known() -> Any:
        connection = connect()
        _check_server(*connection.default_channel.steps.server())
        return connection

    consumer.connect = connect_to_known


def _check_server(version: tuple[int, ...], mode: str) -> None:
    if mode == "cluster":
        log.critical(
            "REDIS_URL names a Redis Cluster, which keeps the keys of one queue on several servers.\n"
            "  Use one server, or several behind Sentinel: REDIS_URL=sentinel://..."
        )
        raise WorkerShutdown(2)
    if version < OLDEST:
        log.critical(
            "REDIS_URL names a Redis %s, which has no BLMOVE.\n  Use Redis 6.2 or newer.", ".".join(map(str, version))
        )
        raise WorkerShutdown(2)
