from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app import alerts
from app.models import Bill, Subscription, User
from app.outbox import outbox
from app.tasks import bills, cleanup, reminders, reports
from app.tasks.bills import charge_bill, renew_subscriptions
from app.tasks.reminders import alert_of_overdue_bills, remind_of_due_bills, send_notice


@pytest.fixture(autouse=True)
def silent(database, monkeypatch):
    monkeypatch.setattr(outbox.relay, "nudge", lambda _session: None)


@pytest.fixture
def clock(monkeypatch):
    """Set what the tasks take for the present time."""

    def set_to(*moment):
        for module in (bills, reminders, reports, alerts):
            monkeypatch.setattr(module, "now", lambda: datetime(*moment, tzinfo=UTC))

    set_to(2027, 1, 31, 12)
    return set_to


@pytest.fixture
def subscribe(database, clock):
    def make(name="ada", zone="UTC", renews_on=31, next_renewal=date(2027, 1, 31)):
        with database.transaction() as session:
            user = User(email=f"{name}@example.org", name=name)
            session.add(user)
            session.flush()
            terms = {"plan": "basic", "price_cents": 500, "zone": zone, "renews_on": renews_on}
            session.add(Subscription(user_id=user.id, next_renewal=next_renewal, **terms))
            return user.id

    return make


@pytest.fixture
def look(database):
    def read(model=Bill):
        with database.transaction() as session:
            return session.scalars(select(model).order_by(*model.__table__.primary_key)).all()

    return read


def periods(found):
    return sorted(str(bill.period) for bill in found)


def sent(kind):
    """The bills that tasks in the outbox tell of."""
    with outbox.transaction() as session:
        messages = session.scalars(select(outbox.table.c.message)).all()
    return sum(f'"{kind}"' in message for message in messages)


def test_a_bill_is_made_once_whatever_runs_twice(subscribe, look):
    subscribe()
    assert [renew_subscriptions.delay().get() for _ in range(3)] == [1, 0, 0]
    assert periods(look()) == ["2027-01-31"]
    assert sent("bill") == 1


def test_after_an_outage_of_months_each_missing_bill_is_made_and_none_is_overdue_at_once(subscribe, look, clock):
    subscribe()
    clock(2027, 5, 2, 12)
    assert renew_subscriptions.delay().get() == 4
    assert periods(look()) == ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]
    assert {bill.due_on for bill in look()} == {date(2027, 5, 16)}
    assert look(Subscription)[0].next_renewal == date(2027, 5, 31)


def test_a_month_begins_where_the_subscriber_lives(subscribe, look, clock):
    east, west = (subscribe(name, zone) for name, zone in (("e", "Pacific/Auckland"), ("w", "America/Los_Angeles")))
    clock(2027, 1, 30, 11, 30)
    renew_subscriptions.delay().get()
    assert [bill.user_id for bill in look()] == [east]
    clock(2027, 1, 31, 8, 30)
    renew_subscriptions.delay().get()
    assert {bill.user_id for bill in look()} == {east, west}


def test_a_subscription_that_forgot_what_it_billed_makes_no_second_bill(subscribe, look, database):
    subscribe()
    renew_subscriptions.delay().get()
    with database.transaction() as session:
        session.scalars(select(Subscription)).one().next_renewal = date(2027, 1, 31)
    assert renew_subscriptions.delay().get() == 0
    assert len(look()) == 1 and sent("bill") == 1


def test_more_subscriptions_than_one_transaction_takes(subscribe, look, monkeypatch):
    monkeypatch.setattr(bills, "CHUNK", 2)
    for number in range(5):
        subscribe(f"user{number}")
    assert renew_subscriptions.delay().get() == 5


@pytest.fixture
def bill(subscribe, look):
    """A bill of 31 January, due on 14 February."""
    subscribe()
    renew_subscriptions.delay().get()
    return look()[0]


def test_a_bill_that_is_charged_twice_is_charged_once(bill, look):
    answers = [charge_bill.delay(str(bill.id)).get() for _ in range(3)]
    assert [answer["charged"] for answer in answers] == [True, False, False]
    assert look(Subscription)[0].charged_cents == 500
    assert look()[0].paid_at and sent("receipt") == 1


def test_a_charge_that_fails_in_the_middle_leaves_nothing_behind(bill, look, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "send", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            charge_bill.run(str(bill.id))
    assert look(Subscription)[0].charged_cents == 0 and look()[0].paid_at is None
    assert charge_bill.delay(str(bill.id)).get()["charged"] is True


@pytest.mark.parametrize(
    ("day", "reminded", "alerted"),
    [(10, 0, 0), (11, 1, 0), (14, 1, 0), (15, 0, 1), (28, 0, 1)],
)
def test_a_bill_is_reminded_of_three_days_before_and_overdue_a_day_after(bill, clock, day, reminded, alerted):
    clock(2027, 2, day, 12)
    assert [remind_of_due_bills.delay().get() for _ in range(2)] == [reminded, 0]
    assert [alert_of_overdue_bills.delay().get() for _ in range(2)] == [alerted, 0]
    assert (sent("reminder"), sent("overdue")) == (reminded, alerted)


def test_the_last_day_to_pay_ends_where_the_payer_lives(subscribe, look, clock):
    subscribe("west", "America/Los_Angeles")
    clock(2027, 1, 31, 20)
    renew_subscriptions.delay().get()
    clock(2027, 2, 15, 7)  # 23:00 of the 14th there
    assert alert_of_overdue_bills.delay().get() == 0
    clock(2027, 2, 15, 9)
    assert alert_of_overdue_bills.delay().get() == 1


def test_a_paid_bill_is_neither_reminded_of_nor_overdue(bill, clock):
    charge_bill.delay(str(bill.id)).get()
    for day in (12, 20):
        clock(2027, 2, day, 12)
        assert (remind_of_due_bills.delay().get(), alert_of_overdue_bills.delay().get()) == (0, 0)


def test_a_notice_sent_twice_has_the_same_message_id(bill, smtp):
    for _ in range(2):
        assert send_notice.delay("reminder", str(bill.id)).get() == "ada@example.org"
    first, second = (message.text for message in smtp.messages)
    message_id = f"Message-ID: <reminder-{bill.id}@"
    assert message_id in first and message_id in second
    assert "5.00 EUR" in first and "2027-02-14" in first


def test_a_reminder_that_was_overtaken_by_the_payment_is_not_sent_but_the_receipt_is(bill, smtp):
    charge_bill.delay(str(bill.id)).get()
    assert send_notice.delay("reminder", str(bill.id)).get() is None
    assert send_notice.delay("receipt", str(bill.id)).get() == "ada@example.org"
    assert ["receipt" in message.text for message in smtp.messages] == [True]


def test_the_report_is_about_yesterday_where_it_is_read(bill, clock, smtp):
    charge_bill.delay(str(bill.id)).get()
    clock(2027, 1, 31, 23, 30)  # already February in Berlin
    figures = reports.daily_report.delay().get()
    assert figures["day"] == "2027-01-31"
    assert "Report of 2027-01-31" in smtp.messages[0].text and "report-2027-01-31@" in smtp.messages[0].text
    with_bill = smtp.messages[0].text.replace("\r", "")
    assert "overdue bills: 0" in with_bill


def test_the_report_counts_between_two_midnights_also_when_the_clocks_change(database, clock):
    def joined(name, *moment):
        with database.transaction() as session:
            session.add(User(email=f"{name}@example.org", name=name, created_at=datetime(*moment, tzinfo=UTC)))

    joined("before", 2027, 3, 27, 22, 59)
    joined("first", 2027, 3, 27, 23, 0)  # 0:00 of the 28th, a day of 23 hours
    joined("last", 2027, 3, 28, 21, 59)
    joined("after", 2027, 3, 28, 22, 0)
    with database.transaction() as session:
        assert reports._figures(session, date(2027, 3, 28))["users"] == 2


def test_only_old_marks_of_effects_are_removed(bill, database, monkeypatch):
    charge_bill.delay(str(bill.id)).get()
    assert cleanup.remove_old_effects.delay().get() == 0
    monkeypatch.setattr(cleanup, "KEEP_EFFECTS", timedelta(days=-1))
    assert cleanup.remove_old_effects.delay().get() == 1


def test_an_alert_is_sent_once_an_hour_for_each_task(database, clock):
    for hour in (12, 12, 13):
        clock(2027, 1, 31, hour)
        alerts.send("app.tasks.backup.back_up_database", str(UUID(int=hour)), "no pg_dump")
    assert sent("no pg_dump") == 2


def test_an_alert_is_for_tasks_that_nobody_waits_for(monkeypatch):
    started = []
    monkeypatch.setattr(alerts.Thread, "start", lambda thread: started.append(thread._args[0]))
    for name in ("app.tasks.faults.fail", "app.tasks.bills.charge_bill", "app.tasks.reports.daily_report"):
        alerts.tell_owner(name=name, task_id="1", exception=ValueError("x"), fallback=False)
    assert started == ["app.tasks.bills.charge_bill", "app.tasks.reports.daily_report"]


def test_an_alert_while_the_database_is_away_is_a_line_in_the_log(monkeypatch, caplog, reconfigure):
    reconfigure(DATABASE_URL="sqlite:////nowhere/app.db")
    alerts.send("app.tasks.bills.charge_bill", "1", "x")
    assert "nobody was told that app.tasks.bills.charge_bill failed" in caplog.text
