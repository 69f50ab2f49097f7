"""A soft time limit lets a task clean up, a hard one ends its process, and the worker goes on."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

SLEEP = "app.tasks.faults.sleep"
QUEUES = "[queues.email]\nsoft_time_limit = 5\ntime_limit = 8\nconcurrency = 1\n"


@pytest.fixture
def hurried(service, tmp_path):
    """The worker of the queue email, with limits of seconds."""

    def restart(**variables):
        service.stop("worker-email")
        service.start_worker("email", **variables)
        service.wait(lambda: service.health("worker-email", "ready"), "the worker to be ready")

    (tmp_path / "queues.toml").write_text(QUEUES)
    restart(QUEUES_FILE=tmp_path / "queues.toml")
    yield
    restart()


def test_row_05_a_soft_limit_cleans_up_and_a_hard_one_stops_the_process(
    service, hurried, send, database, rows, eventually
):
    soft = service.fault("sleep", seconds=60, queue="email")["batch"]
    eventually(lambda: service.ledger(soft)["ended"], "the soft limit")

    hard = str(uuid4())
    task_id = send(SLEEP, hard, 0, 60, queue="email")
    began = "SELECT pid FROM fault_events WHERE batch = :batch"
    ((killed,),) = eventually(lambda: rows(began, batch=hard), "the task to start")
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE fault_events IN SHARE MODE"))  # its clean-up writes there, and hangs
        eventually(lambda: service.task(task_id)["state"] == "FAILURE", "the hard limit")
    after = service.fault("count", queue="email")["batch"]
    eventually(lambda: service.ledger(after)["ended"], "the task after it")

    assert service.task(task_id)["error"] == "it took longer than its queue allows"
    assert rows("SELECT kind FROM fault_events WHERE batch = :batch", batch=hard) == [("start",)]
    assert killed not in {pid for (pid,) in rows(began, batch=after)}
