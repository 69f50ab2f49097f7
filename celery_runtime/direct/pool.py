"""The pool as Celery knows it, and the one that the transport wakes when there are messages."""

from __future__ import annotations

import gc
import time
import warnings
from select import select
from typing import Any

from celery.concurrency.base import BasePool
from celery.utils.log import get_logger

from celery_runtime import metrics, task_metrics
from celery_runtime.direct import events, internals
from celery_runtime.direct.briefing import Briefing
from celery_runtime.direct.brokers import Custody
from celery_runtime.direct.child import Terms
from celery_runtime.direct.conversation import Conversation
from celery_runtime.direct.family import Family, Member
from celery_runtime.direct.jobs import Job, Jobs
from celery_runtime.direct.orders import Orders
from celery_runtime.direct.rabbitmq.custody import RabbitMQCustody
from celery_runtime.direct.redis.custody import RedisCustody
from celery_runtime.direct.refusals import refuse_what_it_cannot
from celery_runtime.direct.settling import Settling
from celery_runtime.direct.supervisor import TICK, Supervisor
from celery_runtime.direct.tallies import Tallies
from celery_runtime.urls import scheme

SCALE_EVERY = 10  # ticks: the pool grows by one child a second while all are busy
log = get_logger(__name__)


class Pool(BasePool):  # type: ignore[misc]
    """Children that fetch for themselves; the parent's own requests reach them as jobs.

    consumer: the worker's, set by the step `Direct`, once it has a connection.
    """

    publishes_in_loop = True  # of the parent, as prefork's does: the repetition of a lost child's task
    consumer: Any = None
    hub: Any = None
    _ticks = 0

    def on_start(self) -> None:
        refuse_what_it_cannot(self.app)
        app, options = self.app, self.options
        app.finalize()
        self.orders = Orders(list(app.tasks))
        self.jobs = Jobs(self.orders)
        terms = Terms(
            options.get("soft_timeout") or 0,
            options.get("timeout") or 0,
            options.get("maxtasksperchild") or 0,
            options.get("max_memory_per_child") or 0,
        )
        self.terms = terms
        self.family = Family(app, options["initargs"][1], self.orders, terms)
        self.family.on_birth, self.family.on_death = self._listen, self._stop_listening
        on_rabbitmq = scheme(app.conf.broker_url).startswith("amqp")
        self.custody: Custody = RabbitMQCustody(app, self.family) if on_rabbitmq else RedisCustody(app, self)
        self.family.custody = self.custody
        self.briefing = Briefing(app, self.orders, self.family)
        self.conversation = Conversation(self.jobs)
        self.supervisor = Supervisor(self.family, self.conversation.hear)
        if self.custody.feeds:
            # What runs is not delivered twice (celery_runtime.direct.rabbitmq.departed), so nothing need be cancelled.
            app.conf.worker_cancel_long_running_tasks_on_connection_loss = False
            warnings.filterwarnings("ignore", r"\s*In Celery 5\.1 we introduced an optional breaking change")
        self.family.grow(self.limit)
        internals.hear_of_revocations(self.orders.revoke)
        metrics.add_source(self._tallies)

    def did_start_ok(self) -> bool:
        """Whether a child runs, or retired already: Celery asks once, when the first may have had its last task."""
        return any(member.process is not None and not member.process.exitcode for member in self.family.members)

    # -- the worker's loop

    def attach(self, consumer: Any) -> None:
        """Serve a consumer that is connected and does not consume yet."""
        if self.consumer is not None:
            # The connection before it is garbage, with sockets. This process allocates so little that the collector
            # would come by after dozens: 13 MB and 7 descriptors in 25 losses (measured). A few ms.
            gc.collect()
        self.consumer = consumer
        self.custody.attach(consumer)
        self.supervisor.settling = self.conversation.settling = Settling(consumer, self.custody)
        internals.apply_remote_control(consumer, self.show_running, self._obey)
        self.briefing.read_tasks()

    def register_with_event_loop(self, hub: Any) -> None:
        self.hub = hub
        hub.call_repeatedly(TICK, self._tick)
        for member in self.family.members:
            self._listen(member)
            hub.call_soon(self._on_readable, member)  # what the loss of a connection left unheard

    def _listen(self, member: Member) -> None:
        if self.hub is None or member.pipe is None:
            return
        self.hub.add_reader(member.pipe.fileno(), self._on_readable, member)

    def _stop_listening(self, member: Member) -> None:
        """Before its descriptors are closed: the loop would take the next ones with their numbers for known."""
        self._gather(member)
        if self.hub is not None and member.pipe is not None:
            self.hub.remove(member.pipe.fileno())

    def _on_readable(self, member: Member) -> None:
        said_more = self.conversation.hear(member)
        self.custody.flush_soon()
        if member.pipe is not None and member.pipe.ended:
            member.kill()  # it closed its end, and cannot go on without
            member.process.join()
            self.supervisor.bury(member)
            said_more = True
        if said_more:
            self.refresh()

    def _tick(self) -> None:
        for member in self.family.members:
            self.conversation.hear_reports(member)
        self.custody.flush_soon()
        self.supervisor.tick()
        self.custody.tick()
        self.gather_events()
        self.refresh()
        self._ticks += 1
        autoscaler = self.consumer.controller.autoscaler
        if autoscaler is not None and self._ticks % SCALE_EVERY == 0:
            autoscaler.maybe_scale()

    def _obey(self) -> None:
        """After a command of remote control, which may have left its work to the loop's next turn."""
        self.briefing.read_tasks()
        self.refresh()
        self.hub.call_soon(self.hub.call_soon, self.refresh)

    def refresh(self) -> None:
        """Tell the children what to consume and how, as it is now."""
        if self.consumer is not None and self.consumer.task_consumer is not None:
            self.briefing.give(self.consumer, self.custody, may_claim=not self.supervisor.stopping)

    # -- what the transport and other parts of the runtime ask

    def lose(self) -> None:
        """The consumer's connection broke; the children go on."""
        self.custody.lose()

    def give_back(self) -> None:
        """Let other workers have what no child has begun."""
        self.custody.give_back()

    @property
    def busy(self) -> int:
        """How many children have a task or a message in hand."""
        return sum(member.is_busy for member in self.family.members)

    @property
    def demand(self) -> int:
        """How many children there is work for: one more than there are while none is free."""
        all_busy = not any(member.is_idle for member in self.family.members)
        return self.busy + len(self.jobs) + all_busy

    @property
    def is_quiet(self) -> bool:
        """Whether no child does anything, or will, until it is told to."""
        return not self.jobs and self.custody.is_quiet

    def gather_events(self) -> None:
        """Add what the children tell of their tasks to what is sent next."""
        for member in self.family.members:
            self._gather(member)

    def _gather(self, member: Member) -> None:
        events.tell(self.consumer and self.consumer.event_dispatcher, member.stream)

    def show_running(self) -> None:
        """Let Celery know a request for each task that a child runs."""
        if self.supervisor.settling is not None:
            for member in self.family.members:
                if member.job is None:
                    self.supervisor.settling.show(member)

    def oldest(self) -> float:
        """Seconds that the task which has run for longest has run; 0 without one."""
        starts = [look.started for look in self.supervisor.looks() if look.started]
        return time.monotonic() - min(starts) if starts else 0.0

    def overdue(self, limit: float) -> float:
        """By how many seconds a task has outlived its hard time limit; `limit` where it has none of its own."""
        now = time.monotonic()
        return max(
            [0.0, *(now - look.started - (look.hard or limit) for look in self.supervisor.looks() if look.started)]
        )

    def prefetched(self) -> float:
        """Messages that are held and do not run: a child's for a moment, the parent's until their time comes."""
        return self.custody.prefetched() + task_metrics.prefetched()

    def _tallies(self) -> Any:
        for member in list(self.family.members):
            yield from Tallies(member.slot.extra).read(self.orders.tasks)

    # -- Celery's interface

    def on_apply(self, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Job:
        soft, hard = options.get("soft_timeout") or self.terms.soft, options.get("timeout") or self.terms.hard
        job = Job(self.jobs, (target, args or (), kwargs or {}), soft, hard, options)
        self.jobs.add(job)
        self.custody.wake()
        return job

    @property
    def num_processes(self) -> int:
        return sum(not member.leaves for member in self.family.members)

    def grow(self, n: int = 1) -> None:
        self.family.grow(n)

    def shrink(self, n: int = 1) -> None:
        self.family.shrink(n)

    def restart(self) -> None:
        """Replace every child after what it has in hand."""
        for member in self.family.members:
            member.quit()

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Interrupt the task that the child `pid` runs, with `signal`, SIGTERM by default."""
        for member in self.family.members:
            if member.pid == pid:
                member.stop_task(signal)

    def on_stop(self) -> None:
        """Let the children finish what they have in hand, and the jobs that wait."""
        self._end_all(lambda member: member.quit(), patience=None)

    def on_terminate(self) -> None:
        self._end_all(lambda member: member.kill(), patience=5.0)

    def _end_all(self, tell: Any, patience: float | None) -> None:
        if not hasattr(self, "family"):
            return
        while self.jobs and patience is None and self.did_start_ok():
            self._turn()
        self.supervisor.stopping = self.conversation.stopping = True
        for member in self.family.members:
            tell(member)
        since = time.monotonic()
        while any(member.process is not None for member in self.family.members):
            self._turn()
            if patience is not None and time.monotonic() - since > patience:
                return

    def _turn(self) -> None:
        """One turn of a loop of its own: Celery's has ended."""
        pipes = [member.pipe for member in self.family.members if member.pipe is not None]
        select(pipes, [], [], TICK)
        for member in self.family.members:
            self.conversation.hear(member)
        try:
            self.custody.flush()
        except OSError as error:
            log.warning("direct: the connection broke on the way to the end: %s", error)
            self.custody.lose()
        self.supervisor.tick()

    def _get_info(self) -> dict[str, Any]:
        return {
            **super()._get_info(),
            "max-concurrency": self.limit,
            "processes": [member.pid for member in self.family.members if member.pid],
            "max-tasks-per-child": self.terms.max_tasks or "N/A",
            "timeouts": (self.terms.soft, self.terms.hard),
        }
