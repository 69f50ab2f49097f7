"""The lock of a running task: taken with a fencing token in one step, renewed by a thread, given up in time.

redis-py's Lock does the rest. Read in redis-py 8: redis/lock.py (`do_acquire`, `local.token`).
"""

from __future__ import annotations

import threading
import time
from typing import Any

from redis.exceptions import LockError, RedisError
from redis.lock import Lock

RENEWALS = 3  # per lifetime of the lock: two may fail
# The last token is kept for as long as a holder could still come back with it.
FENCE_KEPT = 7 * 86_400  # seconds

# KEYS: lock, last fencing token. ARGV: task id, lifetime of the lock in ms, of the token in s.
# Returns the token, or 0 and the holder's task id.
TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder then return {'0', holder} end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local fence = math.max(now, (tonumber(redis.call('GET', KEYS[2])) or 0) + 1)
local text = string.format('%.0f', fence)
redis.call('SET', KEYS[2], text, 'EX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. text, 'PX', ARGV[2])
return {text, ''}
"""


class LockLostError(Exception):
    """The lock was not renewed in time: another may hold it, and what this holder still writes must be fenced."""


class LockLease:
    """A lock that this process holds from `acquire` to `release`, unless it loses it.

    client: of redis-py. ttl: seconds after which an unrenewed lock is free.
    """

    def __init__(self, client: Any, key: str, ttl: float) -> None:
        self.client, self.key, self.ttl = client, key, ttl
        self.fence, self.holder = 0, ""  # the token; the task id of who holds the lock instead
        self._lock = Lock(client, key, timeout=ttl, thread_local=False)
        self._released = threading.Event()
        self._until = 0.0  # monotonic seconds, when the lock ends unless it is renewed
        self._lost = False

    def acquire(self, task_id: str) -> bool:
        """Take the lock if it is free, and keep renewing it. Raises redis-py's errors."""
        before = time.monotonic()
        take = self.client.register_script(TAKE)
        fence, holder = map(_text, take([self.key, f"{self.key}:fence"], [task_id, int(self.ttl * 1000), FENCE_KEPT]))
        self.fence, self.holder = int(fence), holder.partition(" ")[0]
        if not self.fence:
            return False
        self._lock.local.token = f"{task_id} {fence}".encode()
        self._until = before + self.ttl
        threading.Thread(target=self._renew, name=f"renew {self.key}", daemon=True).start()
        return True

    def check(self) -> None:
        """Raise LockLostError when the lock is lost, or may be: this process may have been suspended."""
        if self._lost or time.monotonic() >= self._until:
            raise LockLostError(f"{self.key} was lost: it could not be renewed within {self.ttl:g} s")

    def finish(self) -> None:
        """Free the lock. Raises LockLostError when it was not held to the end."""
        self.check()
        if not self.release():
            raise LockLostError(f"{self.key} was lost: Redis does not know it any more, or gave it to another")

    def release(self) -> bool:
        """Free the lock; returns whether it was held. One that Redis cannot be told of ends by itself."""
        self._released.set()
        try:
            self._lock.release()
        except LockError:
            return False
        except RedisError:
            return True
        return True

    def _renew(self) -> None:
        while not self._released.wait(self.ttl / RENEWALS):
            before = time.monotonic()
            try:
                self._lock.reacquire()
            except LockError:
                self._lost = True
                return
            except RedisError:
                continue  # until it is too late, which check() sees on the clock
            self._until = before + self.ttl


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
