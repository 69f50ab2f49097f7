"""Beat with one schedule at a time: RedBeat's lock, and health from the scheduler's own ticks.

The lock is short (30 s), so that another Beat takes over half a minute after this one died, not 25 minutes.
"""

from __future__ import annotations

from typing import Any

from redbeat import RedBeatScheduler

from celery_runtime.health import Pulse, State, serve
from celery_runtime.installation import publish_patiently
from celery_runtime.settings import RuntimeSettings, load

pulse = Pulse()


class Scheduler(RedBeatScheduler):  # type: ignore[misc]
    """RedBeat that tells its health server about each tick; a tick at least every `beat_max_loop_interval`."""

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        publish_patiently(app)
        super().__init__(app, *args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        pulse.move(State.READY)
        return float(super().tick(*args, **kwargs))


def serve_health() -> None:
    """Answer before the first tick: a standby waits in its start-up until the lock is free, and that is alive."""
    settings = load(RuntimeSettings)
    if settings.health_port:
        serve(pulse, settings.health_address, settings.health_port)
