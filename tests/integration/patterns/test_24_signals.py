"""Row 24: a failure, a retry and a revocation are each a line of the log and a count; a failure wakes somebody."""

from __future__ import annotations

import sys
from uuid import uuid4

from tests.integration.patterns.commands import metric

BACKUP = "app.tasks.backup.back_up_database"


def ended(service, worker, task, outcome):
    queue = worker.removeprefix("worker-")
    return metric(service, worker, f'celery_tasks_ended_total{{outcome="{outcome}",queue="{queue}",task="{task}"}}')


def test_row_24_signals(service, user, mails, rows, eventually):
    rows("DELETE FROM celery_runtime_effects WHERE key LIKE 'alert %'")
    failed = ended(service, "worker-backup", BACKUP, "failed")
    task_id = service.api.post("/schedule/back-up-database/run").json()["task_id"]

    # A failure: this worker has no folder for backups.
    last = service.follow(task_id)[-1]
    assert last["state"] == "FAILURE" and last["error"]
    eventually(lambda: ended(service, "worker-backup", BACKUP, "failed") == failed + 1, "the count of the failure")
    assert f"task failed: task_id={task_id} name={BACKUP} queue=" in service.log("worker-backup")
    alerts = eventually(lambda: mails("owner@example.org", f"Failed: {BACKUP}"), "the alert")
    assert any(task_id in mail["text"] for mail in alerts)

    # A retry: this mailbox is busy at the first try.
    welcome = "app.tasks.notices.welcome"
    retried = ended(service, "worker-email", welcome, "retried")
    ada = user(f"later+{uuid4().hex}@example.org")
    eventually(lambda: ended(service, "worker-email", welcome, "retried") == retried + 1, "the count of the retry")
    eventually(lambda: mails(ada["email"]), "the mail of the second try")
    assert "task tries again: " in service.log("worker-email")

    # A revocation, of a task that is not here yet.
    revoked = ended(service, "worker-default", "app.tasks.faults.count", "revoked")
    task_id = str(uuid4())
    script = (
        "from app.celery import app\n"
        f"app.control.revoke('{task_id}', reply=True, timeout=1)\n"
        f"app.send_task('app.tasks.faults.count', ['{uuid4()}', 0, 0], task_id='{task_id}')\n"
    )
    service.run("revoke", [sys.executable, "-c", script])
    line = f"task was not run: task_id={task_id} name=app.tasks.faults.count"
    eventually(lambda: line in service.log("worker-default"), "the line of the revocation")
    assert ended(service, "worker-default", "app.tasks.faults.count", "revoked") == revoked + 1
