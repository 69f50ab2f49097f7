"""Stop a worker without interrupting or repeating a task.

Stock prefork warm shutdown joins its children while they wait for the parent to read their results: half of the stops
under load take 31.6 s, and tasks that had finished run again. Here SIGTERM only ends the consuming. The event loop goes
on, stores results and acknowledges messages until nothing is held; then there is nothing left to join.

Read in Celery 5.7.0: celery/apps/worker.py (signal handlers), celery/worker/state.py (what a worker holds).
"""

from __future__ import annotations

import time
from signal import Signals
from typing import Any

from celery import Celery, bootsteps, platforms, signals
from celery.apps.worker import on_cold_shutdown
from celery.utils.log import get_logger
from celery.worker import state

from celery_runtime.dead_letters.boxes import is_rabbitmq
from celery_runtime.health import Pulse, State
from celery_runtime.queues import Queue
from celery_runtime.unstarted import keep_results, show_running, withdraw_all

LOOK = 0.1  # seconds between two looks at what is still held
IN_FLIGHT = 1.2  # seconds; on Redis without claims kombu's BRPOP waits up to 1 s, and what it pops must come back first
log = get_logger(__name__)


class Drain:
    """The request to stop, from the first signal to the last acknowledgement.

    pulse: told that the worker is draining.
    queues: how long each waits for running tasks (`drain`, in seconds); what runs then goes back to the queue.
    """

    def __init__(self, pulse: Pulse, queues: dict[str, Queue]) -> None:
        self.pulse = pulse
        self.queues = queues
        self.hostname = ""
        self.consuming = False
        self.requested = 0.0  # monotonic seconds; 0 while nobody asked
        self.cancelled = 0.0

    def request(self, number: int, *_: Any) -> None:
        """Handle SIGTERM or SIGINT; every one after the first changes nothing. Tells the app's own receivers."""
        if self.requested:
            return
        self.requested = time.monotonic()
        if not self.consuming:  # without its broker the loop does not turn, and nothing new can come
            state.should_stop = platforms.EX_OK
        told = {"sig": Signals(number).name, "how": "Warm", "exitcode": platforms.EX_OK}
        signals.worker_shutting_down.send(sender=self.hostname, **told)

    def look(self, consumer: Any) -> None:
        """Take the next step towards the end; called by the worker's loop every LOOK seconds."""
        if not self.requested:
            return
        now = time.monotonic()
        if not self.cancelled:
            self._stop_consuming(consumer)
            self.cancelled = now
        elif now - self.requested > self._patience(consumer):
            show_running(consumer)
            log.warning("drain: %d tasks still run and go back to the queue", len(state.active_requests))
            on_cold_shutdown(consumer.controller)
        elif self._nothing_comes(consumer, now) and not state.reserved_requests and not state.active_requests:
            state.should_stop = platforms.EX_OK

    def _nothing_comes(self, consumer: Any, now: float) -> bool:
        """Whether no message can arrive any more and no acknowledgement is on its way."""
        if not getattr(consumer.pool, "is_quiet", True):
            return False
        if is_rabbitmq(consumer.connection):  # which delivers nothing after its answer to the cancel
            return True
        quiet = getattr(consumer.task_consumer.channel, "quiet", None)
        return now - self.cancelled > IN_FLIGHT if quiet is None else bool(quiet)

    def _stop_consuming(self, consumer: Any) -> None:
        self.pulse.move(State.DRAINING)
        consumer.task_consumer.cancel()
        show_running(consumer)
        _hand_back_unstarted(consumer)
        log.info(
            "drain: no new tasks; waiting at most %d s for %d that run",
            self._patience(consumer),
            len(state.active_requests),
        )

    def _patience(self, consumer: Any) -> int:
        """Seconds that the slowest of the worker's queues allows; a queue from elsewhere has the longest."""
        names = consumer.app.amqp.queues.consume_from
        known = [self.queues[name].drain for name in names if name in self.queues]
        return max(known or [queue.drain for queue in self.queues.values()])


def _hand_back_unstarted(consumer: Any) -> None:
    """Give the tasks that have not begun back to the queue: another worker can begin at once."""
    if hasattr(consumer.pool, "give_back"):
        consumer.pool.give_back()
    requests = withdraw_all(consumer)
    channel = consumer.task_consumer.channel
    if hasattr(channel, "hand_back"):  # one that claims: to the head of the queue
        channel.hand_back([request.message.delivery_tag for request in requests])
        return
    for request in requests:
        request.reject(requeue=True)


def install_step(app: Celery, pulse: Pulse, queues: dict[str, Queue]) -> None:
    """Make the workers of `app` drain on SIGTERM and SIGINT. SIGQUIT still ends them at once."""
    drain = Drain(pulse, queues)

    class Step(bootsteps.StartStopStep):  # type: ignore[misc]
        label = "Drain"
        requires = ("celery.worker.consumer.tasks:Tasks",)
        looking: Any = None  # a step before this one may have failed: it stops without having started

        def start(self, consumer: Any) -> None:
            drain.consuming = True
            keep_results(consumer.pool)
            self.looking = consumer.timer.call_repeatedly(LOOK, drain.look, (consumer,))

        def stop(self, consumer: Any) -> None:
            drain.consuming = False
            if self.looking is not None:
                self.looking.cancel()
            if drain.requested:  # the connection was lost meanwhile: do not come back for more
                state.should_stop = platforms.EX_OK

    def take_signals(sender: Any, **_: Any) -> None:
        drain.hostname = sender.hostname
        for name in ("SIGTERM", "SIGINT"):
            platforms.signals[name] = drain.request

    app.steps["consumer"].add(Step)
    # Celery installs its own handlers before, and each pool child resets its own after the fork.
    signals.worker_ready.connect(take_signals, weak=False)
