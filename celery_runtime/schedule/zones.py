"""A crontab in the time zone of whoever waits for its task.

Celery's own goes by the zone of the whole app. Here that is UTC, where no hour is missing and none comes twice; but a
report that is read at seven is read at seven in summer too. An hour that the clocks skip is made up for an hour later,
and one that they repeat runs once.

Read in Celery 5.7.0: celery/schedules.py, `crontab.remaining_delta` (reckons in `tz`; that of 5.6 does not, and would
send everything an hour or more off).
"""

from __future__ import annotations

from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import crontab

from celery_runtime.settings import ConfigError
from celery_runtime.versions import release


class LocalCrontab(crontab):  # type: ignore[misc]
    """Celery's crontab by the clock of `zone`, like "Europe/Berlin".

    Raises ZoneInfoNotFoundError; on Celery 5.6 ConfigError for any zone but UTC.
    """

    def __init__(self, *fields: Any, zone: str, **options: Any) -> None:
        if zone != "UTC" and release("celery") < (5, 7):
            raise ConfigError(
                f"A crontab in the zone {zone} needs Celery 5.7: the one installed would send at another hour.\n"
                "  Install it, pip install 'celery>=5.7,<5.8', or write the crontab in the app's own time zone."
            )
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
