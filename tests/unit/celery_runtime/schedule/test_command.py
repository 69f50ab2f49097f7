from __future__ import annotations

import pytest
from celery.schedules import crontab, schedule

from celery_runtime.cli import main
from celery_runtime.schedule import command
from celery_runtime.schedule.zones import LocalCrontab

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def shop(monkeypatch, tmp_path):
    """An app of its own, whose Redis is away."""
    (tmp_path / "queues.toml").write_text("[queues.default]\n")
    (tmp_path / "shop_of_schedule.py").write_text(
        "from celery import Celery\napp = Celery('shop', set_as_current=False)\n"
        "app.conf.beat_schedule = {'tidy': {'task': 'shop.tidy', 'schedule': 60}}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "CELERY_APP": "shop_of_schedule:app",
        "QUEUES_FILE": "queues.toml",
        "REDIS_URL": NOWHERE,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("action", [["list"], ["disable", "tidy"], ["run", "tidy"]])
def test_without_redis_it_says_so_and_ends_with_code_1(action, capsys):
    assert main(["schedule", *action]) == 1
    shown = capsys.readouterr().err
    assert "does not answer as it should" in shown and "Traceback" not in shown


def options(**given):
    return type("Options", (), {"every": None, "cron": None, "zone": None, **given})


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"every": "soon"}, ["--every = 'soon'", "from 1 to"]),
        ({"every": "0"}, ["--every = '0'"]),
        ({"every": "nan"}, ["--every = 'nan'"]),
        ({"every": "1e99"}, ["--every = '1e99'"]),
        ({"every": "60", "zone": "UTC"}, ["--zone = 'UTC' says nothing of --every"]),
    ],
)
def test_an_interval_that_is_none(given, names):
    with pytest.raises(command.ConfigError) as error:
        command._interval(options(**given))
    assert all(name in str(error.value) for name in names)


@pytest.mark.parametrize(
    ("cron", "zone", "names"),
    [
        ("0 7", None, ["has 2 fields", "Write five"]),
        ("61 * * * *", None, ["'61 * * * *' is not valid", "A valid example"]),
        ("x * * * *", None, ["is not valid"]),
        ("0 0 31 2 *", None, ["never occurs"]),
        ("0 7 * * *", "Mars/Olympus", ["--zone = 'Mars/Olympus' is no time zone"]),
        ("0 7 * * *", "../x", ["--zone = '../x'"]),
        ("0 7 * * *", "", []),
    ],
)
def test_a_crontab_that_is_none(cron, zone, names):
    if not names:
        assert command._crontab(options(cron=cron, zone=zone)).zone == "UTC"
        return
    with pytest.raises(command.ConfigError) as error:
        command._crontab(options(cron=cron, zone=zone))
    assert all(name in str(error.value) for name in names)


@pytest.mark.parametrize(
    ("entry", "seconds"),
    [
        (schedule(90), 90),
        (LocalCrontab("*/15", zone="Europe/Berlin"), 900),
        (LocalCrontab("0", "7", zone="UTC"), 86_400),
        (LocalCrontab("0", "7", "sun", zone="UTC"), 7 * 86_400),
    ],
)
def test_a_run_is_void_when_the_next_one_is_due(entry, seconds):
    assert command._gap(entry) == seconds


def test_a_crontab_of_the_code_is_not_taken_for_an_interval():
    assert not isinstance(crontab(), LocalCrontab)
