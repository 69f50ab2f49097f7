"""The children of a pool: forking them, waking those that wait, burying those that ended."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from billiard.context import ForkContext
from celery.signals import worker_before_create_process
from celery.utils.log import get_logger

from celery_runtime import metrics
from celery_runtime.direct import events
from celery_runtime.direct.brokers import Custody
from celery_runtime.direct.child import Child, Terms, Ties
from celery_runtime.direct.orders import Orders
from celery_runtime.direct.pipe import ParentEnd, pair
from celery_runtime.direct.rabbitmq.reports import Reports
from celery_runtime.direct.ring import Ring
from celery_runtime.direct.slot import DamagedError, Field, Look, Slot
from celery_runtime.direct.tallies import SIZE

PAUSE = 1.0  # seconds until a child is replaced that ended before it served, or that could not be forked
log = get_logger(__name__)


class Member:
    """One place in the pool. The slot, the stream of events and the reports outlive the children that use them.

    custody: of the messages that its child has in hand.
    free: whether the child waits and was not woken since; where children feed on a line, whether it ever waited.
    job: what it runs for its parent. request, sequence: the request that stands for what it runs itself.
    """

    def __init__(self, index: int, custody: Custody) -> None:
        self.index = index
        self.custody = custody
        self.slot = Slot(SIZE)
        self.stream = Ring(events.ROOM)
        self.reports = Reports()
        self.pipe: ParentEnd | None = None
        self.process: Any = None
        self.free = False
        self.leaves = False  # is told to end and not replaced
        self.job: Any = None
        self.request: Any = None
        self.sequence = -1
        self.served = False  # whether the child came so far as to wait for messages
        self.overdue = False  # was killed for its hard time limit
        self.not_before = 0.0  # monotonic seconds; no child is forked sooner

    @property
    def pid(self) -> int:
        return int(self.process.pid) if self.process is not None else 0

    @property
    def is_dead(self) -> bool:
        return self.process is not None and self.process.exitcode is not None

    @property
    def is_busy(self) -> bool:
        return bool(self.slot.numbers[Field.STARTED] or self.slot.numbers[Field.HELD] or self.job is not None)

    @property
    def is_idle(self) -> bool:
        """Whether the child waits for something to do."""
        return self.served and not self.is_busy if self.custody.feeds else self.free

    def wake(self) -> None:
        if self.pipe is not None:
            self.free = False
            self.pipe.wake()
            self.custody.nudge()

    def quit(self) -> None:
        """Let the child end after what it has in hand."""
        self.slot.numbers[Field.QUIT] = 1.0
        self.wake()

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.pid and not self.is_dead:
            os.kill(self.pid, number)

    def stop_task(self, number: int | None) -> None:
        """Interrupt what runs, with a signal, SIGTERM by default; a task that ended meanwhile is not interrupted."""
        self.slot.numbers[Field.STOPPED] = self.slot.numbers[Field.SEQUENCE]
        self.kill(number or signal.SIGTERM)

    def renew(self) -> None:
        """Give up a slot that was written over."""
        self.slot.close()
        self.slot = Slot(SIZE)


class Family:
    """on_birth, on_death: called with a member whose child was forked, to listen to it, or is buried, to stop that."""

    on_birth: Callable[[Member], None]
    on_death: Callable[[Member], None]
    custody: Custody  # which makes the source of a child's messages

    def __init__(self, app: Any, hostname: str, orders: Orders, terms: Terms) -> None:
        self.app = app
        self.hostname = hostname
        self.orders = orders
        self.terms = terms
        self.members: list[Member] = []
        self.deaths = 0  # of children that nobody had told to end

    def grow(self, count: int) -> None:
        for _ in range(count):
            used = {member.index for member in self.members}
            member = Member(min(set(range(len(used) + 1)) - used), self.custody)
            self.members.append(member)
            self.fork(member)

    def shrink(self, count: int) -> None:
        """Let `count` children end, those that wait first. Raises ValueError when fewer are left."""
        staying = [member for member in self.members if not member.leaves]
        if count > len(staying):
            raise ValueError(f"the pool has {len(staying)} processes, not {count}")
        for member in sorted(staying, key=lambda member: not member.is_idle)[:count]:
            member.leaves = True
            member.quit()

    def fork(self, member: Member) -> bool:
        """Start a child; False when the system refuses, which is tried again."""
        member.slot.clear()
        parent, child_end = pair()
        worker_before_create_process.send(sender=self)
        gc.collect()  # as Celery's own pool does, of what dead children left in cycles; what is frozen is not looked at
        process = ForkContext().Process(target=self._be_child, args=(member, child_end), daemon=True)
        process.index = member.index
        process.name = process.name.replace("Process", "PoolWorker")
        try:
            process.start()
        except OSError as error:
            log.error("direct: no child could be forked, trying again: %s", error)  # noqa: TRY400
            parent.close()
            member.not_before = time.monotonic() + PAUSE
            return False
        finally:
            child_end.socket.close()
        member.process, member.pipe, member.free, member.served = process, parent, False, False
        self.on_birth(member)
        return True

    def bury(self, member: Member) -> None:
        """Forget a dead child; its place stays, unless it is to leave."""
        process = member.process
        process.join()
        exitcode = process.exitcode
        if not member.slot.numbers[Field.QUIT]:
            metrics.count("child_restarts", reason=_why(member, exitcode))
        member.overdue = False
        if exitcode:
            self.deaths += 1
            log.error("direct: the pool child %s ended with exit code %s", process.pid, exitcode)
        if not member.served and not member.slot.numbers[Field.SEQUENCE]:
            member.not_before = time.monotonic() + PAUSE
        self.on_death(member)
        if member.pipe is not None:
            member.pipe.close()
        member.process = member.pipe = member.job = member.request = None
        member.free = False
        member.sequence = -1
        if member.leaves:
            self.members.remove(member)
            member.slot.close()

    @property
    def size(self) -> int:
        """How many children stay."""
        return sum(not member.leaves for member in self.members)

    def looks(self) -> Iterator[tuple[Member, Look]]:
        """What every child has in hand; one that wrote over its slot is left out. Safe in any thread."""
        for member in list(self.members):
            with suppress(DamagedError):
                yield member, member.slot.look()

    def wake_all(self) -> None:
        for member in self.members:
            member.wake()

    def _be_child(self, member: Member, pipe: Any) -> None:
        for other in self.members:
            if other.pipe is not None:
                other.pipe.close()
        ties = Ties(member.slot, self.orders, pipe, member.stream, member.reports, self.custody.source)
        Child(self.app, self.hostname, ties, self.terms).run()


def _why(member: Member, exitcode: int) -> str:
    """One of CHILD_ENDS."""
    if member.overdue:
        return "time_limit"
    return "lost" if exitcode else "recycled"
