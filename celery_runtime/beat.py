"""Beat with one schedule at a time: RedBeat's lock, and health from the scheduler's own ticks.

The schedule is RedBeat's, in Redis. An app may name a scheduler of its own: own_scheduler.py puts it behind that lock.

The lock is short (30 s), so that another Beat takes over half a minute after this one died, not 25 minutes.

Without Redis this Beat stays: alive, not ready, with a try every few seconds. When Redis is back and the lock has
ended meanwhile, it waits for the lock like any standby, because another Beat may hold it. RedBeat takes the lock before
the first tick and ends on any error; here a tick takes it whenever it is missing. Read in RedBeat 2.4.2: schedulers.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from celery.signals import beat_init
from celery.utils.log import get_logger
from redbeat import RedBeatScheduler
from redbeat.schedulers import acquire_distributed_beat_lock, get_redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celery_runtime import metrics, notify
from celery_runtime.health import Pulse, State, serve
from celery_runtime.publishing import publish_patiently
from celery_runtime.schedule.changes import bound_redis, keep_changes
from celery_runtime.schedule.entries import Entry
from celery_runtime.settings import RuntimeSettings, load

REDIS_AWAY = (RedisConnectionError, RedisTimeoutError)
STOP = 20  # seconds that a stop takes at most, when Redis does not answer
RETRY = 2.0  # seconds between two tries to reach Redis

log = get_logger(__name__)
pulse = Pulse()
beat_init.disconnect(acquire_distributed_beat_lock)


class ScheduleAwayError(Exception):
    """Where the schedule is kept cannot be reached."""


class Guard:
    """What a scheduler does around a tick: it sends only with the lock, outlives Redis, and tells its health server.

    It ticks at least every `beat_max_loop_interval`.
    """

    app: Any
    lock_timeout: Any
    lock: Any = None  # of redis-py, while this Beat believes to hold it
    begun = False  # whether the schedule was made ready since this Beat got the lock

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; returns the seconds until the next tick."""
        try:
            self._take_over()
            wait = self._send_due(*args, **kwargs)
            entries = self._count_entries()
        except REDIS_AWAY as error:
            return self._lost(f"Redis is away: {error}")
        except LockError:
            self.lock, self.begun = None, False
            return self._lost("the lock ended before it was extended, and another Beat may hold it")
        except ScheduleAwayError as error:
            return self._lost(str(error))
        pulse.move(State.READY)
        self._show(time.time(), entries)
        return wait

    def _begin(self) -> None:
        """Make the schedule ready, now that this Beat holds the lock."""
        raise NotImplementedError

    def _send_due(self, *args: Any, **kwargs: Any) -> float:
        raise NotImplementedError

    def _count_entries(self) -> int:
        raise NotImplementedError

    def _take_over(self) -> None:
        """Wait for the lock, for as long as another Beat holds it, and begin."""
        if self.lock is None:
            acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=self))
        if not self.begun:
            self._begin()
            self.begun = True

    def _extend(self) -> None:
        """Before each entry, because an earlier one may have taken so long that the lock ended. Raises LockError."""
        self.lock.extend(int(self.lock_timeout))

    def _show(self, now: float, entries: int) -> None:
        metrics.gauge("beat_last_tick_timestamp_seconds", lambda: now)
        metrics.gauge("beat_entries", lambda: entries)

    def _lost(self, reason: str) -> float:
        log.warning("beat: %s. Trying again in %s s", reason, RETRY)
        pulse.move(State.RECONNECTING)
        return RETRY

    def _let_go(self, release: Callable[[], Any]) -> None:
        try:
            release()
        except (*REDIS_AWAY, LockError) as error:
            log.warning("beat: the lock could not be released and ends after %s s: %s", self.lock_timeout, error)
            self.lock = None


class Sending:
    """Mixed into a scheduler: it tells what it sends, and how late."""

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        pulse.move(State.RECONNECTING)  # until the broker took it, however long it is away
        late = lateness(entry)
        result = super().apply_async(entry, *args, **kwargs)  # type: ignore[misc]
        metrics.count("beat_sent")
        metrics.gauge("beat_lateness_seconds", lambda: late)
        return result


class Scheduler(Guard, Sending, RedBeatScheduler):  # type: ignore[misc]
    """RedBeat, which others than us may change while it runs."""

    Entry = Entry

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        publish_patiently(app)
        bound_redis(app)
        super().__init__(app, *args, **kwargs)

    def setup_schedule(self) -> None:
        """Leave Redis alone until this Beat holds the lock."""

    def _begin(self) -> None:
        super().setup_schedule()

    def _send_due(self, *args: Any, **kwargs: Any) -> float:
        return float(RedBeatScheduler.tick(self, *args, **kwargs))

    def update_from_dict(self, dict_: dict[str, Any]) -> None:
        super().update_from_dict(keep_changes(self.app, dict_))

    def maybe_due(self, entry: Any, **kwargs: Any) -> Any:
        """Send `entry` if it is due and this Beat still holds the lock. Raises LockError."""
        self._extend()
        try:
            entry = self._read_again(entry)
        except KeyError:
            return self.max_interval
        return super().maybe_due(entry, **kwargs)

    def _read_again(self, entry: Any) -> Any:
        """As it is now: the one before it may have waited for the broker while somebody changed or removed it."""
        return Entry.from_key(entry.key, app=self.app)

    def close(self) -> None:
        pulse.move(State.DRAINING)
        self._let_go(super().close)

    def _count_entries(self) -> int:
        return int(get_redis(self.app).zcard(self.app.redbeat_conf.schedule_key))


def lateness(entry: Any) -> float:
    """Seconds since `entry` became due; 0 for one that never ran."""
    left = entry.schedule.remaining_estimate(entry.last_run_at) if entry.last_run_at else None
    return max(-left.total_seconds(), 0.0) if left else 0.0


def serve_health() -> None:
    """Answer before the first tick: a standby waits in its start-up until the lock is free, and that is alive."""
    settings = load(RuntimeSettings)
    metrics.watch(pulse)
    if settings.health_port:
        exposition = metrics.exposition if settings.has("metrics") else None
        serve(pulse, settings.health_address, settings.health_port, exposition)
    notify.tell(pulse, notify.BEAT, STOP)
    notify.send("READY=1")  # a standby too: systemd would wait for its lock, and then give up
