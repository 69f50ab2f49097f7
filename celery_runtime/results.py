"""Store a result in one trip to Redis, and never let the worker's loop wait for it.

Celery asks whether a success is stored already, which nothing may overwrite, and only then stores and publishes: two
trips, a third of what a small task costs. Here one script does both; what it stores is what Celery's own backend
stores and reads, so that producers, Flower and older workers keep theirs.

What a pool child cannot store any more, its main process stores for it: the failure of a task that was killed or ran
out of time. Celery does that from the worker's loop and tries for ever. With Redis away, the loop then neither
answers the broker's heartbeats nor ticks, and the platform restarts a worker whose other tasks were well. Here the
loop hands it to a thread, which tries until Redis is back.

Read in Celery 5.7.0: celery/backends/base.py and redis.py (what is stored, and the retries), celery/worker/request.py
(what the main process stores), celery/app/trace.py (a task is current while its result is stored).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from celery import Celery, states
from celery._state import get_current_task
from celery.backends.redis import RedisBackend as CeleryRedisBackend
from celery.backends.redis import SentinelBackend as CelerySentinelBackend
from celery.exceptions import BackendStoreError
from celery.signals import worker_init, worker_shutdown
from celery.utils.log import get_logger
from kombu.utils.encoding import bytes_to_str
from kombu.utils.objects import cached_property
from redis.exceptions import MasterDownError, NoScriptError, OutOfMemoryError, ReadOnlyError

from celery_runtime.deferred import Call, Deferred
from celery_runtime.redis_transport.scripts import sha1
from celery_runtime.subscriptions import Subscribing

LOOP_TIMEOUT = 1.0  # seconds the loop waits for an answer; it needs one, at most, for each child that was lost
FLUSH = 10.0  # seconds that a stopping worker waits for what is not stored yet; half of queues.GRACE_MARGIN
UNKNOWN = -1
# Of a server that takes no writes for now: without replicas, without disk, without memory, not the master any more.
REFUSALS = (ReadOnlyError, OutOfMemoryError, MasterDownError)
REFUSAL_CODES = ("NOREPLICAS ", "MISCONF ")

# A result starts with its status (base.py, _get_result_meta). What starts otherwise is compressed or from another
# serializer: Celery's own code can tell what it is.
RESULT = f"""
-- 1: a result may be written, 0: a success stands there, {UNKNOWN}: Celery's own code must look
local function writable(key)
  local head = redis.call('GETRANGE', key, 0, 19)
  if head == '{{"status": "SUCCESS"' then return 0 end
  if head ~= '' and string.sub(head, 1, 12) ~= '{{"status": "' then return {UNKNOWN} end
  return 1
end

local function write(key, value, expires)
  if expires == '0' then
    redis.call('SET', key, value)
  else
    redis.call('SETEX', key, expires, value)
  end
  redis.call('PUBLISH', key, value)
end
"""

# KEYS: the result. ARGV: value, seconds until it expires ("0": never). Returns what `writable` says.
STORE = (
    RESULT
    + """
local answer = writable(KEYS[1])
if answer == 1 then write(KEYS[1], ARGV[1], ARGV[2]) end
return answer
"""
)
STORE_SHA = sha1(STORE)

log = get_logger(__name__)


deferred = Deferred()
loop: tuple[int, int] | None = None  # process and thread of the worker's loop


def in_loop() -> bool:
    """Whether the caller is a worker's loop, and not a task that the solo pool runs in it."""
    return loop == (os.getpid(), threading.get_ident()) and get_current_task() is None


class Pending(NamedTuple):
    """A result that is ready to be stored. `expires`: seconds, 0: never."""

    backend: Any
    key: bytes | str
    value: str | bytes
    expires: int
    in_two_trips: Callable[[], Any]

    def store(self) -> None:
        """Store it now, with the backend's own retries."""
        if self.backend.ensure(self.backend._store, (self.key, self.value, self.expires)) == UNKNOWN:  # noqa: SLF001
            self.in_two_trips()


# Of a child of the direct pool: takes a result that it stores itself, in the step that claims the next message.
# Called with the task's id, its state, its request and the Pending; returns whether it took it.
keep: Callable[[str, str, Any, Pending], bool] | None = None


class OneTrip:
    """What differs from Celery's backend of the same name."""

    _kept: tuple[int, Any] = (0, None)  # process and connection

    def _store_result(
        self: Any, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        meta["task_id"] = bytes_to_str(task_id)
        value = self.encode(meta)
        if len(value) > self._MAX_STR_VALUE_SIZE:
            raise BackendStoreError("value too large for Redis backend", state=state, task_id=task_id)
        expires = self.failure_expires if state == states.FAILURE else None
        expires = self.expires if expires is None else expires
        write_in_two_trips = partial(super()._store_result, task_id, result, state, traceback, request, **kwargs)  # type: ignore[misc]
        pending = Pending(self, self.get_key_for_task(task_id), value, int(expires or 0), write_in_two_trips)
        if keep is None or not keep(task_id, state, request, pending):
            pending.store()
        return result

    def _store(self: Any, key: bytes, value: str | bytes, expires: int) -> int:
        try:
            return int(self._run_script(key, value, expires))
        except NoScriptError:
            return int(self.client.eval(STORE, 1, key, value, expires))

    def _run_script(self: Any, *arguments: Any) -> Any:
        """Run STORE over a connection that the main thread, a pool child's only one, keeps: half of the client's time.

        What the connection cannot do any more the client does, with its retries: to store twice changes nothing.
        """
        if threading.current_thread() is threading.main_thread():
            connection = self._kept_connection()
            try:
                connection.send_command("EVALSHA", STORE_SHA, 1, *arguments)
                return connection.read_response()
            except NoScriptError:
                raise
            except BaseException as error:
                connection.disconnect()  # its next answer would be this one
                if not isinstance(error, self.connection_errors):
                    raise
        return self.client.evalsha(STORE_SHA, 1, *arguments)

    def _kept_connection(self: Any) -> Any:
        if self._kept[0] != os.getpid():
            self._kept = os.getpid(), self.client.connection_pool.get_connection()
        return self._kept[1]

    def exception_safe_to_retry(self, exc: BaseException) -> bool:
        """Also when the server refuses all writes: a task that ended has not failed because of that."""
        safe: bool = super().exception_safe_to_retry(exc)  # type: ignore[misc]
        return safe or isinstance(exc, REFUSALS) or str(exc).startswith(REFUSAL_CODES)

    def _params_from_url(self, url: str, defaults: dict[str, Any]) -> dict[str, Any]:
        params: dict[str, Any] = super()._params_from_url(url, defaults)  # type: ignore[misc]
        if "path" in params:  # a Unix socket, whose connection knows no keep-alive
            params.pop("socket_keepalive", None)
        return params

    def get(self: Any, key: bytes) -> Any:
        return (self._impatient_client if in_loop() else self.client).get(key)

    @cached_property
    def _impatient_client(self: Any) -> Any:
        timeouts = {name for name in ("socket_timeout", "socket_connect_timeout") if name in self.connparams}
        return self._create_client(**self.connparams | dict.fromkeys(timeouts, LOOP_TIMEOUT))

    def _ensure_retryable(self, function: Any, *args: Any, max_retries: float | None = None, **kwargs: Any) -> Any:
        if in_loop():
            max_retries = 0
        return super()._ensure_retryable(function, *args, max_retries=max_retries, **kwargs)  # type: ignore[misc]

    def mark_as_failure(self, *args: Any, **kwargs: Any) -> None:
        self._mark("mark_as_failure", *args, **kwargs)

    def mark_as_retry(self, *args: Any, **kwargs: Any) -> None:
        self._mark("mark_as_retry", *args, **kwargs)

    def mark_as_revoked(self, *args: Any, **kwargs: Any) -> None:
        self._mark("mark_as_revoked", *args, **kwargs)

    def _mark(self: Any, name: str, *args: Any, **kwargs: Any) -> None:
        if in_loop():
            deferred.add(Call(self.app, name, args, kwargs))
        else:
            getattr(super(), name)(*args, **kwargs)


class RedisBackend(OneTrip, Subscribing, CeleryRedisBackend):  # type: ignore[misc]
    """Results in Redis: redis://, rediss:// and redis+socket://."""


class SentinelBackend(OneTrip, Subscribing, CelerySentinelBackend):  # type: ignore[misc]
    """Results in the Redis that Sentinel names: sentinel://."""


def install(app: Celery) -> None:
    """Let `app` store its results with the backends above; the URL of its settings stays Celery's."""
    ours = f"{__name__}:RedisBackend"
    app.loader.override_backends = {"redis": ours, "rediss": ours, "sentinel": f"{__name__}:SentinelBackend"}
    worker_init.connect(_remember_the_loop, weak=False)
    worker_shutdown.connect(_flush, weak=False)


def _remember_the_loop(**_: Any) -> None:
    global loop  # noqa: PLW0603  one worker in a process
    loop = (os.getpid(), threading.get_ident())


def _flush(**_: Any) -> None:
    deferred.flush(FLUSH)
