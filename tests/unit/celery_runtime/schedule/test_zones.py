from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from celery.schedules import crontab, schedule
from hypothesis import given
from hypothesis import strategies as st

from celery_runtime.schedule.entries import Decoder, Encoder
from celery_runtime.schedule.zones import LocalCrontab, describe

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


def runs(entry, start, end):
    """When a Beat that looks whenever it should sends an entry that ran last at `start`."""
    clock, last, sent = start, start, []
    entry.nowfun = lambda: clock
    while clock < end:
        due, wait = entry.is_due(last)
        if due:
            last = clock
            sent.append(clock)
        clock += timedelta(seconds=wait)
    return sent


@given(
    zone=ZONES, hour=st.integers(0, 23), minute=st.integers(0, 59), start=st.dates(date(2026, 1, 1), date(2028, 1, 1))
)
def test_it_runs_once_a_day_at_its_time_whatever_the_clocks_do(zone, hour, minute, start):
    entry = LocalCrontab(minute=str(minute), hour=str(hour), zone=zone)
    begin = datetime(start.year, start.month, start.day, tzinfo=ZoneInfo(zone)) - timedelta(minutes=1)
    # Around either change of summer time, and in between.
    for days in (0, 90, 180, 270):
        first = begin + timedelta(days=days)
        sent = [moment.astimezone(ZoneInfo(zone)) for moment in runs(entry, first.astimezone(UTC), _later(first, 8))]
        assert len({moment.date() for moment in sent}) == len(sent) == 8
        for moment in sent:
            wanted = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
            exists = wanted.astimezone(UTC).astimezone(ZoneInfo(zone)).timetz() == wanted.timetz()
            assert moment == wanted or not exists


def _later(moment, days):
    return (moment + timedelta(days=days)).astimezone(UTC)


def test_seven_is_seven_in_summer_and_in_winter():
    entry = LocalCrontab(minute="0", hour="7", zone="Europe/Berlin")
    sent = runs(entry, datetime(2027, 3, 27, tzinfo=UTC), datetime(2027, 3, 29, tzinfo=UTC))
    assert [str(moment) for moment in sent] == ["2027-03-27 06:00:00+00:00", "2027-03-28 05:00:00+00:00"]


def test_an_unknown_zone_is_refused():
    with pytest.raises(ZoneInfoNotFoundError):
        LocalCrontab(zone="Mars/Olympus")


def test_two_of_different_zones_are_different():
    berlin, paris, plain = (LocalCrontab("0", "7", zone=f"Europe/{city}") for city in ("Berlin", "Paris", "Berlin"))
    assert berlin == plain != paris
    assert berlin != crontab("0", "7")


def test_it_keeps_its_zone_when_it_is_stored_and_when_it_is_pickled():
    entry = LocalCrontab("*/15", "7-9", "mon-fri", zone="Europe/Berlin")
    for copy in (json.loads(json.dumps(entry, cls=Encoder), cls=Decoder), pickle.loads(pickle.dumps(entry))):  # noqa: S301
        assert copy == entry and str(copy.tz) == "Europe/Berlin"


def test_others_are_stored_as_redbeat_stores_them():
    for entry in (crontab("0", "7"), schedule(10)):
        copy = json.loads(json.dumps(entry, cls=Encoder), cls=Decoder)
        assert type(copy) is type(entry) and copy == entry


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (schedule(10), "every 10 s"),
        (crontab(minute="5"), "5 * * * * UTC"),
        (LocalCrontab("0", "7", "mon-fri", zone="Europe/Berlin"), "0 7 * * mon-fri Europe/Berlin"),
        (crontab(minute=[0, 30]), "[0,30] * * * * UTC"),
    ],
)
def test_a_schedule_in_words(entry, text):
    assert describe(entry) == text
