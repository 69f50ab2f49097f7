from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.billing import due_renewals, first_renewal, latest_date, local_date, money, renewal_after

DAYS = st.integers(1, 31)
DATES = st.dates(date(1990, 1, 1), date(2100, 12, 31))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Niue", "Asia/Kathmandu", "Africa/Cairo"]
)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("day", "start", "renewals"),
    [
        (31, date(2027, 1, 15), ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        (30, date(2027, 12, 31), ["2028-01-30", "2028-02-29", "2028-03-30"]),
        (29, date(2027, 2, 1), ["2027-02-28", "2027-03-29"]),
        (1, date(2027, 11, 2), ["2027-12-01", "2028-01-01"]),
        (15, date(2027, 6, 15), ["2027-06-15", "2027-07-15"]),
    ],
)
def test_the_month_end_is_kept_without_drift(day, start, renewals):
    found = [first_renewal(start, day)]
    while len(found) < len(renewals):
        found.append(renewal_after(found[-1], day))

    assert [str(each) for each in found] == renewals


@given(start=DATES, day=DAYS, months=st.integers(1, 60))
def test_each_month_has_one_renewal_on_its_day_or_its_last(start, day, months):
    renewals = [first_renewal(start, day)]
    for _ in range(months):
        renewals.append(renewal_after(renewals[-1], day))

    assert start <= renewals[0] < start + timedelta(days=32)
    for renewal in renewals:
        assert renewal.day == min(day, monthrange(renewal.year, renewal.month)[1])
    for one, other in pairwise(renewals):
        assert (other.year * 12 + other.month) - (one.year * 12 + one.month) == 1


@given(start=DATES, day=DAYS, visits=st.lists(st.integers(0, 400), min_size=1, max_size=30))
def test_whenever_and_however_often_one_looks_each_renewal_is_found_once(start, day, visits):
    following, found = first_renewal(start, day), []
    for after in visits:  # in any order: a run that was late in the queue may be followed by an earlier one
        due, following = due_renewals(following, day, start + timedelta(days=after))
        found += due

    last = start + timedelta(days=max(visits))
    expected, _ = due_renewals(first_renewal(start, day), day, last)
    assert found == expected
    assert following > last


@given(moment=MOMENTS, zone=ZONES)
def test_a_day_begins_at_midnight_of_its_zone_and_nowhere_later_than_expected(moment, zone):
    day = local_date(moment, zone)
    begun = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    assert timedelta(0) <= moment - begun < timedelta(hours=25)
    assert day <= latest_date(moment)


def test_a_month_begins_in_the_subscribers_zone():
    moment = datetime(2027, 2, 28, 11, 30, tzinfo=UTC)

    assert local_date(moment, "Pacific/Auckland") == date(2027, 3, 1)
    assert local_date(moment, "America/Los_Angeles") == date(2027, 2, 28)


def test_money_has_two_digits_behind_the_point():
    assert [money(cents) for cents in (0, 5, 150, 123456)] == ["0.00 EUR", "0.05 EUR", "1.50 EUR", "1234.56 EUR"]
