"""What the parent does for its children ten times a second: time limits, burials, births, long tasks told of.

And what it knows for the lease: which messages they hold.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from celery_runtime.direct.family import Family, Member
from celery_runtime.direct.orders import Order
from celery_runtime.direct.settling import Settling
from celery_runtime.direct.slot import DamagedError, Field, Look

TICK = 0.1  # seconds
ANNOUNCE = 0.1  # seconds; a task that runs for longer is told of while it runs
BURIAL = 5.0  # seconds until a killed process is gone


class Supervisor:
    """hear: reads what a member's child still sent, before it is buried."""

    def __init__(self, family: Family, hear: Callable[[Member], Any]) -> None:
        self.family = family
        self.hear = hear
        self.settling: Settling | None = None
        self.stopping = False

    def tick(self) -> None:
        """Look at every child once."""
        for member in list(self.family.members):
            if member.process is None:
                self._give_birth(member)
            elif member.is_dead:
                self.bury(member)
            else:
                self._look_at(member)

    def bury(self, member: Member) -> None:
        """Settle what a dead child had in hand, and replace it."""
        self.hear(member)
        if self.settling is not None:
            self.settling.lose(member)
        self._replace(member)

    def held(self) -> list[tuple[str, str]]:
        """The (queue, delivery tag) of every message that a child holds; safe in any thread."""
        return [(look.queue, look.tag) for look in self.looks() if look.held]

    def looks(self) -> list[Look]:
        """What every child has in hand; safe in any thread."""
        return [look for _, look in self.family.looks()]

    def _give_birth(self, member: Member) -> None:
        if not self.stopping and not member.leaves and time.monotonic() >= member.not_before:
            self.family.fork(member)

    def _look_at(self, member: Member) -> None:
        try:
            look = member.slot.look()
        except DamagedError:  # told when it is buried
            self._kill(member)
            self.bury(member)
            return
        if member.request is not None and (not look.started or look.sequence != member.sequence):
            self.settling.forget(member)  # type: ignore[union-attr]
        if not look.started:
            return
        ran = time.monotonic() - look.started
        if look.hard and ran > look.hard:
            self._stop_for_good(member, look)
        elif look.soft and ran > look.soft:
            self._remind(member, look)
        elif ran > ANNOUNCE and look.held:
            self._announce(member, look)

    def _remind(self, member: Member, look: Look) -> None:
        """Interrupt a task whose soft limit is over, once."""
        numbers = member.slot.numbers
        if numbers[Field.SOFT_SENT] == look.sequence or numbers[Field.SEQUENCE] != look.sequence:
            return
        numbers[Field.SOFT_SENT] = look.sequence
        member.kill(signal.SIGUSR1)
        subject = member.job or (self.settling and self.settling.show(member))
        if subject:
            subject.on_timeout(True, look.soft)

    def _stop_for_good(self, member: Member, look: Look) -> None:
        """End a child whose task is over its hard limit. It is stopped first: the task may have just ended."""
        member.kill(signal.SIGSTOP)
        self.hear(member)
        if member.slot.numbers[Field.SEQUENCE] != look.sequence or not member.slot.numbers[Field.STARTED]:
            member.kill(signal.SIGCONT)
            return
        if self.settling is not None and member.job is None:
            self.settling.show(member)
        self._kill(member)
        member.overdue = True
        if self.settling is not None:
            self.settling.time_out(member, look.hard)
        self._replace(member)

    def _replace(self, member: Member) -> None:
        self.family.bury(member)
        if member in self.family.members:
            self._give_birth(member)

    def _kill(self, member: Member) -> None:
        member.kill()
        member.process.join(BURIAL)

    def _announce(self, member: Member, look: Look) -> None:
        numbers = member.slot.numbers
        if not self.family.orders.numbers[Order.EVENTS] or numbers[Field.ANNOUNCED] == look.sequence:
            return
        request: Any = self.settling and self.settling.show(member)
        if not request:
            return
        numbers[Field.ANNOUNCED] = look.sequence
        request.send_event(
            "task-received",
            name=request.name,
            args=request.argsrepr,
            kwargs=request.kwargsrepr,
            root_id=request.root_id,
            parent_id=request.parent_id,
            retries=request.request_dict.get("retries", 0),
            eta=None,
            expires=None,
        )
        request.send_event("task-started")
