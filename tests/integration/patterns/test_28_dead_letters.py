"""What no worker can run is parked with its reason, and an operator lists, shows, replays and purges it."""

from __future__ import annotations

import json
from uuid import uuid4

from tests.integration.patterns.commands import celery_runtime, metric

PARKED = 'celery_dead_letters_total{queue="default",reason="unknown-task",task="other"}'


def test_row_28_a_dead_letter_is_listed_shown_replayed_and_purged(service, send, eventually):
    task = f"app.tasks.gone_{uuid4().hex}"
    mine = f"dead-letters %s --queue default --task {task}"

    def parked():
        return metric(service, "worker-default", PARKED)

    before = parked()
    task_id = send(task, "an argument", queue="default")
    try:
        eventually(lambda: parked() == before + 1, "the letter to be parked")
        listed, table, shown, replayed = celery_runtime(
            service,
            mine % "list" + " --json",
            mine % "list",
            f"dead-letters show {task_id}",
            mine % "replay",
        )
        (letter,) = json.loads(listed.out)
        assert (letter["queue"], letter["reason"]) == ("default", "unknown-task")
        assert (letter["task"], letter["task_id"]) == (task, task_id)
        assert "unknown-task" in table.out and letter["id"] in table.rows
        assert "an argument" in shown.out and task in shown.out
        assert replayed.out == f"1 dead letter in default of task {task} put back.\n"

        eventually(lambda: parked() == before + 2, "the letter to be parked again")
        (again,) = celery_runtime(service, mine % "list" + " --json")
        assert [each["task_id"] for each in json.loads(again.out)] == [task_id]
    finally:
        purged, empty = celery_runtime(service, mine % "purge" + " --yes", mine % "list")
    assert purged.out == f"1 dead letter in default of task {task} deleted.\n"
    assert empty.out == f"No dead letters in default of task {task}.\n"
