"""An entry as RedBeat keeps it in Redis, with the zone of a LocalCrontab, which RedBeat's own form would drop.

Read in RedBeat 2.4.2: schedulers.py (`RedBeatSchedulerEntry.save`, `from_key`), decoder.py.
"""

from __future__ import annotations

import json
from copy import copy
from datetime import datetime, timedelta
from typing import Any

from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redbeat.schedulers import RedBeatSchedulerEntry, get_redis

from celery_runtime.schedule.zones import LocalCrontab

LOCAL = "local-crontab"


class Encoder(RedBeatJSONEncoder):  # type: ignore[misc]
    def default(self, obj: Any) -> Any:
        encoded = super().default(obj)
        return encoded | {"__type__": LOCAL, "zone": obj.zone} if isinstance(obj, LocalCrontab) else encoded


class Decoder(RedBeatJSONDecoder):  # type: ignore[misc]
    def dict_to_object(self, d: dict[str, Any]) -> Any:
        if d.get("__type__") != LOCAL:
            return super().dict_to_object(d)
        return LocalCrontab(**{name: value for name, value in d.items() if name != "__type__"})


class Entry(RedBeatSchedulerEntry):  # type: ignore[misc]
    """RedBeat's, and what people ask of it."""

    @staticmethod
    def decode_definition(definition: str) -> Any:
        return json.loads(definition, cls=Decoder)

    def save(self) -> Entry:
        names = ("name", "task", "args", "kwargs", "options", "schedule", "enabled")
        definition = {name: getattr(self, name) for name in names}
        with get_redis(self.app).pipeline() as pipe:
            pipe.hset(self.key, "definition", json.dumps(definition, cls=Encoder))
            pipe.hsetnx(self.key, "meta", json.dumps({"last_run_at": self.last_run_at}, cls=Encoder))
            pipe.zadd(self.app.redbeat_conf.schedule_key, {self.key: self.score})
            pipe.execute()
        return self

    @property
    def last_run(self) -> datetime | None:
        """When it was sent last; None for an entry that never was, whose `last_run_at` is when it was stored."""
        return self.last_run_at if self.total_run_count else None

    def next_run(self, now: datetime) -> datetime | None:
        """When it is due; `now` when it is overdue, None when it is disabled or has no further run."""
        if not self.enabled:
            return None
        schedule = copy(self.schedule)
        schedule.nowfun = lambda: now  # asked again, the clock would be some microseconds further
        left: timedelta | None = schedule.remaining_estimate(self.last_run_at or now)
        return None if left is None else now + max(left, timedelta(0))
