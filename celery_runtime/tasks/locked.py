"""One at a time: a task that holds a lock in Redis while it runs, and notices when it has lost it.

    @app.task(base=LockedTask, lock_on=("account_id",), when_locked="skip")
    def settle(account_id): ...

The lock ends LOCK_TTL after its holder was killed, and is renewed from a thread while the holder runs. No lock can keep
a holder that was suspended for longer than that from writing afterwards; what it writes to can. `self.fencing_token`
is larger for each later holder, so a database refuses the earlier one:

    UPDATE accounts SET balance = :balance, fence = :token WHERE id = :id AND fence <= :token   -- one row, or too late

Redis keeps the lock whatever the broker is. A lock that Redis lost (restart without its last write, failover) may be
held twice for a while: the token is never smaller than the server's clock in microseconds, so that it still grows.
"""

from __future__ import annotations

import inspect
import random
from typing import Any, Literal

from celery.exceptions import Ignore, Retry
from celery.utils.log import get_task_logger
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celery_runtime.redis_store import redis_of
from celery_runtime.tasks import RuntimeTask
from celery_runtime.tasks.lock_lease import LockLease, LockLostError

__all__ = ["LockHeldError", "LockLostError", "LockedTask"]

REDIS_AWAY = (RedisConnectionError, RedisTimeoutError)
log = get_task_logger(__name__)


class LockHeldError(Exception):
    """Another task holds the lock, and `when_locked` is "fail"."""


class LockedTask(RuntimeTask):
    """Runs while it holds the lock of its name and of the arguments that `lock_on` names.

    lock_ttl: seconds after which the lock of a killed holder is free; it is renewed three times in that time.
    when_locked: what becomes of a task that finds the lock held. "wait": it is published again, to be tried after
    about `lock_delay` seconds, which costs none of its `max_retries`. "skip": it ends with the result
    {"skipped": why}, and what follows it in a chain does not run. "fail": LockHeldError. A task that was delivered
    again always waits: the holder may be its own dead self.

    The task of a lost lock hears of it by LockLostError from `self.check_lock()`, at the latest when it has ended: it
    is a failure then, whatever it returned, because another may have run at the same time.

    Called as a function it takes no lock.
    """

    lock_on: tuple[str, ...] = ()
    lock_ttl: float = 30
    lock_delay: float = 5
    when_locked: Literal["wait", "skip", "fail"] = "wait"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        lease = LockLease(redis_of(self.app), self.lock_key(*args, **kwargs), self.lock_ttl)
        try:
            held = lease.acquire(self.request.id)
        except REDIS_AWAY as error:
            raise self._wait(f"Redis is away: {error}") from None
        if not held:
            return self._make_way(lease)
        self.request.lock_lease = lease
        try:
            result = super().__call__(*args, **kwargs)
        except BaseException:
            lease.release()
            raise
        lease.finish()
        return result

    def lock_key(self, *args: Any, **kwargs: Any) -> str:
        """The lock's key in Redis; override it where arguments by name are not enough."""
        bound = inspect.signature(self.run).bind(*args, **kwargs)
        bound.apply_defaults()
        return ":".join(["lock", self.name, *(str(bound.arguments[name]) for name in self.lock_on)])

    @property
    def fencing_token(self) -> int:
        """A number that is larger for each later holder of this lock."""
        return int(self.request.lock_lease.fence)

    def check_lock(self) -> None:
        """Raise LockLostError when the lock is not held any more; asks nobody, so call it as often as you like."""
        self.request.lock_lease.check()

    def _make_way(self, lease: LockLease) -> Any:
        if self.when_locked == "wait" or lease.holder == self.request.id:
            raise self._wait(f"{lease.key} is held by {lease.holder}")
        if self.when_locked == "fail":
            raise LockHeldError(f"{lease.key} is held by task {lease.holder}")
        skipped = f"{lease.key} is held by task {lease.holder}"
        log.info("skipped: %s", skipped)
        # Not by `return`: nothing that follows it may run. A chord that it is part of goes on all the same.
        self.backend.mark_as_done(self.request.id, {"skipped": skipped}, self.request)
        raise Ignore

    def _wait(self, reason: str) -> Retry:
        # At random, so that those who wait do not march in step.
        return self.postpone(self.lock_delay * random.uniform(0.5, 1.5), reason)  # noqa: S311
