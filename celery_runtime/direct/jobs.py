"""What the parent wants run by a child: requests that Celery's own code has judged, from the pool's `apply_async`."""

from __future__ import annotations

from collections import deque
from typing import Any

from celery_runtime.direct import internals
from celery_runtime.direct.orders import Order, Orders
from celery_runtime.direct.pipe import pack


class Job:
    """One call, and what Celery wants to hear about it.

    soft, hard: seconds, 0: none. callbacks: those of BasePool.apply_async by name.
    """

    def __init__(self, line: Jobs, call: tuple[Any, ...], soft: float, hard: float, callbacks: dict[str, Any]) -> None:
        self._line = line
        self.call = call
        self.soft = soft
        self.hard = hard
        self._callbacks = callbacks
        self.terminated = 0  # by which signal

    def packed(self) -> bytes:
        return pack((*self.call, self.soft, self.hard))

    def on_accepted(self, pid: int, now: float) -> None:
        self._tell("accept_callback", pid, now)

    def on_result(self, returned: bool, value: Any) -> None:
        self._tell("callback" if returned else "error_callback", value)

    def on_failure(self, einfo: Any) -> None:
        self._tell("error_callback", einfo)

    def on_timeout(self, soft: bool, limit: float) -> None:
        callback = self._callbacks.get("timeout_callback")
        if callback is not None:
            with internals.current(callback):
                callback(soft, limit)

    @property
    def f(self) -> Job:
        """As of a pool of threads: what can be cancelled while it waits (celery_runtime.unstarted)."""
        return self

    def cancel(self) -> bool:
        """Take it out of the line; False when a child has it."""
        return self._line.withdraw(self)

    def terminate(self, signum: int) -> None:
        """Remember why its child ends, which is no loss: what runs is interrupted by `Pool.terminate_job`."""
        self.terminated = signum

    def _tell(self, name: str, *args: Any) -> None:
        callback = self._callbacks.get(name)
        if callback is not None:
            callback(*args)


class Jobs:
    """The line of those that no child has yet; the children are told how many there are."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._waiting: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: Job) -> None:
        self._waiting.append(job)
        self._tell()

    def take(self) -> Job | None:
        job = self._waiting.popleft() if self._waiting else None
        self._tell()
        return job

    def withdraw(self, job: Job) -> bool:
        if job not in self._waiting:
            return False
        self._waiting.remove(job)
        self._tell()
        return True

    def _tell(self) -> None:
        self._orders.numbers[Order.JOBS] = float(len(self._waiting))
