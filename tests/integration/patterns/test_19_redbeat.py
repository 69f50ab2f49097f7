"""Row 19: the schedule is changed while Beat runs, without a restart, and the change outlives one."""

from __future__ import annotations

import pytest

from tests.integration.patterns.commands import celery_runtime

ENTRY = "remove-old-effects"


@pytest.fixture
def beat(service):
    name = "beat-patterns"
    service.start_beat(name)
    service.wait(lambda: service.health(name, "ready"), "Beat to be ready")
    yield name
    service.stop(name)
    celery_runtime(service, f"schedule reset {ENTRY}", "schedule reset tidy")


def test_row_19_redbeat_changed_at_run_time(service, beat, eventually):
    def entry(name=ENTRY):
        return next((each for each in service.api.get("/schedule").json() if each["name"] == name), None)

    def runs_again():
        before = entry()["last_run"]
        eventually(lambda: entry()["last_run"] != before, "another run")

    original = entry()["schedule"]
    change, add = celery_runtime(
        service,
        f"schedule set {ENTRY} --every 1",
        "schedule set tidy --every 3600 --task app.tasks.cleanup.remove_old_effects",
    )
    assert (change.code, add.code) == (0, 0), change.err + add.err
    runs_again()
    assert service.log(beat).count("Acquired lock") == 1, "Beat was not restarted"

    service.stop(beat)
    service.start_beat(beat)
    assert entry()["schedule"] == "every 1 s" and entry()["changed"] and entry()["expires"] == 1
    runs_again()
    assert entry("tidy")["schedule"] == "every 3600 s"

    disabled, reset, gone, listed, unknown, wrong = celery_runtime(
        service,
        f"schedule disable {ENTRY}",
        f"schedule reset {ENTRY}",
        "schedule reset tidy",
        "schedule list",
        "schedule enable none-such",
        "schedule set daily-report --cron 61",
    )
    assert "is disabled" in disabled.out
    assert original in reset.out and "was removed" in gone.out
    assert " ".join(listed.rows["daily-report"]).startswith("app.tasks.reports.daily_report 0 7 * * * Europe/Berlin")
    assert "tidy" not in listed.rows and entry()["changed"] is False
    assert unknown.code == wrong.code == 2
    assert "no entry 'none-such'" in unknown.err and "--cron = '61'" in wrong.err
