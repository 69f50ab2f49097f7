"""What the parent tells its children to do, as the consumer is now."""

from __future__ import annotations

from typing import Any

from celery_runtime.direct import internals
from celery_runtime.direct.brokers import Custody
from celery_runtime.direct.family import Family
from celery_runtime.direct.orders import Order, Orders, TaskOrder


class Briefing:
    def __init__(self, app: Any, orders: Orders, family: Family) -> None:
        self.app = app
        self.orders = orders
        self.family = family
        self._tasks: list[TaskOrder] = []
        self._is_listened_to = False

    def read_tasks(self) -> None:
        """Look at every task anew: remote control may have changed one. A millisecond for a hundred."""
        self._is_listened_to = internals.somebody_hears_of_receipts()
        self._tasks = [self._order(name) for name in self.orders.tasks]

    def give(self, consumer: Any, custody: Custody, *, may_claim: bool) -> None:
        """Write the orders anew, and wake everybody when there is more to do than before."""
        numbers = self.orders.numbers
        if self._is_listened_to != internals.somebody_hears_of_receipts():
            self.read_tasks()
        queues = custody.queues()
        changed = self.orders.publish(queues, self._tasks)
        claim = float(may_claim and bool(queues) and custody.has_room())
        changed |= claim > numbers[Order.CLAIM]
        numbers[Order.CLAIM] = claim
        numbers[Order.EVENTS] = float(_wants_events(consumer.event_dispatcher))
        if changed:
            self.family.wake_all()

    def _order(self, name: str) -> TaskOrder:
        task = self.app.tasks.get(name)
        if task is None:
            return TaskOrder(False, 0, 0)
        direct = internals.runs_plainly(task) and not self._is_listened_to
        return TaskOrder(direct, task.soft_time_limit or 0, task.time_limit or 0)


def _wants_events(eventer: Any) -> bool:
    return bool(eventer and eventer.enabled and (not eventer.groups or "task" in eventer.groups))
