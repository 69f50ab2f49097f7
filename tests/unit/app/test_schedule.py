from __future__ import annotations

import pytest

from app.celery import app
from app.schedule import BEAT_SCHEDULE


@pytest.mark.parametrize("name", BEAT_SCHEDULE)
def test_every_entry_names_a_task_that_takes_no_arguments_and_expires(name):
    entry = BEAT_SCHEDULE[name]
    assert entry["task"] in app.tasks
    app.tasks[entry["task"]].__header__()
    assert 0 < entry["options"]["expires"] <= 24 * 3600


def test_beat_gets_the_table():
    assert app.conf.beat_schedule == BEAT_SCHEDULE
