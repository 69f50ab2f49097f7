"""The loop of a pool child: claim, run, settle with the next claim.

What it has in hand it shows in its slot before it acts on it, so that whenever it ends, its parent knows what to do.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.log import get_logger

from celery_runtime import results
from celery_runtime.direct import internals
from celery_runtime.direct.brokers import Claimed, Finished, LostError, Source
from celery_runtime.direct.events import Recorder
from celery_runtime.direct.merging import Merging
from celery_runtime.direct.orders import Order, Orders
from celery_runtime.direct.pipe import ChildEnd, Kind, unpack
from celery_runtime.direct.plain import Reader, Work
from celery_runtime.direct.rabbitmq.reports import Reports
from celery_runtime.direct.ring import Ring
from celery_runtime.direct.slot import Field, Slot
from celery_runtime.direct.tallies import Tallies

PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between two tries to reach the broker

Outcome = tuple[bool, Any]  # whether it returned, and what
log = get_logger(__name__)


class Terms(NamedTuple):
    """What the pool was told about its children. Limits are in seconds, memory in KiB; 0: none."""

    soft: float
    hard: float
    max_tasks: int
    max_memory: int


class Ties(NamedTuple):
    """What a child shares with its parent. source: makes that of its messages, in the child."""

    slot: Slot
    orders: Orders
    pipe: ChildEnd
    events: Ring
    reports: Reports
    source: Callable[[Any], Source]


class _SignalledError(Exception):
    """Ends the waiting."""


class Child:
    """One pool child, after the fork."""

    def __init__(self, app: Celery, hostname: str, ties: Ties, terms: Terms) -> None:
        self.app = app
        self.hostname = hostname
        self.slot, self.orders, self.pipe, *_ = ties
        self.terms = terms
        self.recorder = Recorder(ties.events, ties.slot)
        self.pid = os.getpid()
        self.source = ties.source(ties)
        self.finished: Finished | None = None
        self.done = 0
        self._leaving = self._waits = False
        self._version = -1.0

    def run(self) -> None:
        """Serve until told to stop; the process ends afterwards."""
        internals.initialize(self.app, self.hostname)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGUSR1, self._on_sigusr1)
        self.merging = Merging(self.source, self.slot)
        results.keep = self.merging.keep
        defaults = self.terms.soft, self.terms.hard
        self.reader = Reader(self.app.tasks, self.source.parse, self.orders, self.hostname, defaults)
        self.tallies = Tallies(self.slot.extra)
        try:
            self._serve()
        finally:
            internals.destroy(self.pid, 0)

    def _serve(self) -> None:
        pause = PAUSE
        while True:
            try:
                self.source.connect()
                self._follow()
                pause = PAUSE
                self._loop()
                break
            except LostError as error:
                if self._leaving and self.finished is None:
                    break
                log.warning("direct: a pool child lost Redis, trying again in %.1f s: %s", pause, error)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        self.source.close()

    # -- the loop

    def _loop(self) -> None:
        numbers, orders = self.slot.numbers, self.orders.numbers
        while True:
            if orders[Order.VERSION] != self._version:
                self._follow()
            leaving = self._leaving = self._leaving or bool(numbers[Field.QUIT]) or self._is_used_up()
            job = bool(orders[Order.JOBS]) and not leaving
            claimed = self.source.step(self.finished, claim=bool(orders[Order.CLAIM]) and not job and not leaving)
            self.finished = None
            self.slot.release()
            if claimed is not None:
                self._handle(claimed)
            elif leaving:
                return
            elif not (job and self._run_job()):
                self._wait()

    def _follow(self) -> None:
        """Read what the parent says about queues and tasks."""
        self._version, queues, self.reader.said = self.orders.read()
        self.source.consume(queues)

    def _is_used_up(self) -> bool:
        terms = self.terms
        if terms.max_tasks and self.done >= terms.max_tasks:
            return True
        # Not before its first task: below what a process has at its start, the limit would let none run, ever.
        if not (terms.max_memory and self.done):
            return False
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > terms.max_memory

    def _wait(self) -> None:
        with suppress(_SignalledError):
            self.source.wait(self._note_that_it_waits)
        self._waits = False
        self.pipe.clear()

    def _note_that_it_waits(self, waits: bool) -> None:
        self._waits = waits

    # -- messages

    def _handle(self, claimed: Claimed) -> None:
        queue, tag, raw, fresh = claimed
        if not fresh:
            self.source.hand_back(queue, tag)
            return
        shown = self.slot.hold(queue, tag, raw if self.source.keeps else b"")
        work = self.reader.read(raw, queue, tag) if shown else None
        if work is None:
            self.pipe.send(Kind.MESSAGE, (queue, tag, raw))
            self.slot.release()
        else:
            self._run(claimed, work)

    def _run(self, claimed: Claimed, work: Work) -> None:
        internals.log_receipt(work)
        self.merging.begin(work)
        request, task = work.request, work.task
        began = time.time()
        returned, answer = self._attempt(
            work.soft,
            work.hard,
            lambda: task.__trace__(work.id, request["args"], request["kwargs"], request),
            lambda outcome: self._give(claimed, began, outcome),
        )
        kept = self.merging.end()
        if returned and internals.is_settled_by(answer.info, task):
            self.slot.numbers[Field.ENDED] = float(kept is None)
            self.finished = Finished(claimed.queue, claimed.tag, kept)
            self.tallies.count(work, claimed.queue, began, answer.info)
            if self.orders.numbers[Order.EVENTS] and task.send_events:
                self.recorder.record(work, began, answer)
            return
        if returned:
            retval, info, runtime, text = answer
            answer = (1, retval, runtime) if info else (0, text, runtime)
        if kept is not None:
            kept.store()
        self._give(claimed, began, (returned, answer))

    def _attempt(self, soft: float, hard: float, call: Callable[[], Any], report: Callable[[Any], None]) -> Outcome:
        """Run `call` as the task in hand; returns whether it returned, and what, or the error that it raised.

        What ends the process is the outcome too, for `report`, unless the parent asked for it.
        """
        number = self.slot.begin(time.monotonic(), soft, hard)
        try:
            outcome = (True, call())
        except Exception:  # noqa: BLE001 -- the parent is told, as by billiard's worker
            outcome = (False, internals.current_error())
        except BaseException:
            self._end_task()
            if self.slot.numbers[Field.STOPPED] != number:
                report((False, internals.current_error()))
            raise
        self._end_task()
        self.done += 1
        return outcome

    def _give(self, claimed: Claimed, began: float, outcome: Outcome) -> None:
        """Let the parent settle a message by Celery's own rules."""
        self.pipe.send(Kind.OUTCOME, (*claimed[:3], began, *outcome))
        self.slot.release()

    def _end_task(self) -> None:
        if os.getpid() != self.pid:  # the task forked, and this is its child, which may not go on as a worker
            os._exit(0)
        self.slot.end()

    # -- jobs

    def _run_job(self) -> bool:
        """Run a job of the parent's, if there still is one."""
        length = self.pipe.ask()
        if length is None:
            return False
        run, args, kwargs, soft, hard = unpack(self.slot.read(length))

        def report(outcome: Outcome) -> None:
            self.pipe.send(Kind.RESULT, outcome)

        report(self._attempt(soft, hard, lambda: run(*args, **kwargs), report))
        return True

    # -- signals

    def _on_sigterm(self, *_: Any) -> None:
        """End the running task when the parent says so; otherwise whoever signalled wants this process to leave."""
        numbers = self.slot.numbers
        if numbers[Field.STARTED] and numbers[Field.STOPPED] == numbers[Field.SEQUENCE]:
            raise SystemExit(-signal.SIGTERM)
        self._leaving = True
        self.source.leave(self._time_left())
        if self._waits:
            self._waits = False
            raise _SignalledError

    def _time_left(self) -> float:
        """Seconds until the hard limit of what runs; 0 without one."""
        numbers = self.slot.numbers
        limit, began = numbers[Field.HARD], numbers[Field.STARTED]
        return max(began + limit - time.monotonic(), 0.1) if limit and began else 0.0

    def _on_sigusr1(self, *_: Any) -> None:
        numbers = self.slot.numbers
        sequence = numbers[Field.SEQUENCE]
        if numbers[Field.STARTED] and sequence in (numbers[Field.SOFT_SENT], numbers[Field.STOPPED]):
            if sequence == numbers[Field.SOFT_SENT] and not numbers[Field.SOFT]:
                return  # it ended meanwhile
            raise SoftTimeLimitExceeded
