"""When a subscription renews and what it costs: plain arithmetic of dates, without a database or a clock.

A month begins and ends where the subscriber lives. The day of the month is kept as it was agreed on: who renews on the
31st does so on the 28th of February, and on the 31st of March again.
"""

from calendar import monthrange
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

PRICES = {"basic": 500, "pro": 1500}  # cents a month
TIME_TO_PAY = timedelta(days=14)
REMIND_BEFORE = timedelta(days=3)
EARLIEST_ZONE = timedelta(hours=14)  # ahead of UTC: Kiribati, where every day begins first


def local_date(moment: datetime, zone: str) -> date:
    """The date that a calendar in `zone` shows at `moment`, which has a time zone."""
    return moment.astimezone(ZoneInfo(zone)).date()


def latest_date(moment: datetime) -> date:
    """The latest date that any calendar shows at `moment`, which is in UTC."""
    return (moment + EARLIEST_ZONE).date()


def renewal_in(year: int, month: int, day: int) -> date:
    """The date in that month on which renews what renews on `day`: the month's last where it has no such day."""
    return date(year, month, min(day, monthrange(year, month)[1]))


def first_renewal(start: date, day: int) -> date:
    """The first renewal on `start` or after it."""
    renewal = renewal_in(start.year, start.month, day)
    return renewal if renewal >= start else renewal_after(renewal, day)


def renewal_after(renewal: date, day: int) -> date:
    """The renewal in the month that follows the one of `renewal`."""
    years, month = divmod(renewal.month, 12)
    return renewal_in(renewal.year + years, month + 1, day)


def due_renewals(following: date, day: int, today: date) -> tuple[list[date], date]:
    """Every renewal from `following` to `today`, oldest first, and the one that follows them.

    After an outage of months there are several.
    """
    due = []
    while following <= today:
        due.append(following)
        following = renewal_after(following, day)
    return due, following


def money(cents: int) -> str:
    """Cents as a person reads them."""
    return f"{cents // 100}.{cents % 100:02} EUR"
