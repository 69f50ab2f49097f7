"""Row 18: what Beat sends. How it sends is row 19, the backup has a file of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")


def test_row_18_beat_table(service, user, mails, rows, eventually):
    ada = user()
    terms = {"plan": "pro", "zone": "Pacific/Auckland"}
    service.api.post(f"/users/{ada['id']}/subscription", json=terms).raise_for_status()

    def run(entry):
        answer = service.api.post(f"/schedule/{entry}/run")
        assert answer.status_code == 202, answer.text
        last = service.follow(answer.json()["task_id"])[-1]
        assert last["state"] == "SUCCESS", last
        return last["result"]

    def mailed(subject):
        return eventually(lambda: mails(ada["email"], subject), f"the mail {subject!r}")

    # Renewals: each missing month once, the last one today where the subscriber lives.
    rows("UPDATE subscriptions SET next_renewal = next_renewal - 70, renews_on = 31 WHERE user_id = :id", id=ada["id"])
    assert run("renew-subscriptions") >= 2
    run("renew-subscriptions")
    bills = service.api.get(f"/users/{ada['id']}/bills").json()
    months = [bill["period"][:7] for bill in bills]
    assert len(months) == len(set(months)) >= 2
    assert len(mailed("Your bill of")) <= len(bills)

    # Reminders and alerts: once each, at their time.
    today = datetime.now(ZoneInfo("Pacific/Auckland")).date()
    bill, other = bills[0]["id"], bills[1]["id"]
    rows("UPDATE bills SET due_on = :day WHERE id = :id", day=today + timedelta(days=3), id=bill)
    rows("UPDATE bills SET due_on = :day WHERE id = :id", day=today - timedelta(days=1), id=other)
    for _ in range(2):
        run("remind-of-due-bills")
        run("alert-of-overdue-bills")
    assert [mail["text"].count(bill) for mail in mailed("is due on")] == [1]
    assert [mail["text"].count(other) for mail in mailed("is overdue")] == [1]

    # The report, about yesterday in Berlin.
    day = run("daily-report")["day"]
    assert day == str((datetime.now(BERLIN) - timedelta(days=1)).date())
    assert eventually(lambda: mails("owner@example.org", f"Report of {day}"), "the report")

    for entry in ("remove-old-fault-batches", "remove-dead-images", "remove-old-effects", "relay-outbox"):
        assert run(entry) is not None

    # Each entry has an end, and the report comes at seven in Berlin, whatever the season.
    listed = {entry["name"]: entry for entry in service.api.get("/schedule").raise_for_status().json()}
    assert all(entry["expires"] for entry in listed.values())
    report = datetime.fromisoformat(listed["daily-report"]["next_run"])
    assert report.astimezone(BERLIN).hour == 7 and timedelta(0) <= report - datetime.now(UTC) <= timedelta(hours=25)
