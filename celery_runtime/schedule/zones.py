"""A crontab in the time zone of whoever waits for its task.

Celery's own goes by the zone of the whole app. Here that is UTC, where no hour is missing and none comes twice; but a
report that is read at seven is read at seven in summer too. An hour that the clocks skip is made up for an hour later,
and one that they repeat runs once.

Read in Celery 5.7.0: celery/schedules.py, `crontab.remaining_delta` (reckons in `tz`).
"""

from __future__ import annotations

from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import crontab


class LocalCrontab(crontab):  # type: ignore[misc]
    """Celery's crontab by the clock of `zone`, like "Europe/Berlin". Raises ZoneInfoNotFoundError."""

    def __init__(self, *fields: Any, zone: str, **options: Any) -> None:
        super().__init__(*fields, **options)
        self.zone = zone
        self.tz = ZoneInfo(zone)  # in place of Celery's cached property, the zone of the app

    def __reduce__(self) -> tuple[Any, ...]:
        _, fields, state = super().__reduce__()
        return partial(type(self), zone=self.zone), fields, state

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} {self.zone}>"

    def __eq__(self, other: object) -> bool:
        return getattr(other, "zone", None) == self.zone and bool(super().__eq__(other))

    __hash__ = None  # type: ignore[assignment]  # as Celery's


def describe(schedule: Any) -> str:
    """A schedule as a person reads it: `every 10 s`, or the five fields of a crontab and its zone."""
    if isinstance(schedule, crontab):
        names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        fields = [str(getattr(schedule, f"_orig_{name}")).replace(" ", "") for name in names]
        return " ".join([*fields, getattr(schedule, "zone", "UTC")])
    if hasattr(schedule, "run_every"):
        return f"every {schedule.run_every.total_seconds():g} s"
    return repr(schedule)
