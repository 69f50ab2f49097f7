"""Row 26: what an operator asks the workers, and tells them."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from tests.integration.patterns.commands import celery_runtime

SLEEP, COUNT = "app.tasks.faults.sleep", "app.tasks.faults.count"


def test_row_26_inspect_and_control(service, eventually):
    later, batch = str(uuid4()), str(uuid4())
    script = (
        "from app.celery import app\n"
        f"app.send_task('{SLEEP}', ['{batch}', 1, 60], queue='media', task_id='{batch}')\n"
        f"app.send_task('{COUNT}', ['{batch}', 2, 0], queue='default', task_id='{later}', countdown=600)\n"
    )
    service.run("send", [sys.executable, "-c", script])
    eventually(lambda: service.api.get(f"/tasks/{batch}").json().get("state") == "STARTED", "the task to start")

    (workers, active, scheduled), (limit, registered, no_limit) = side_by_side(
        service,
        ["workers", "active", "scheduled"],
        [f"rate {COUNT} 7/m", "registered", f"rate {COUNT} 0"],
    )
    names = {name.partition("@")[0]: name for name in workers.rows}
    assert set(names) >= {"default", "media", "ai", "email", "backup"}
    assert workers.rows[names["media"]][:1] == ["media"]
    assert f"{names['media']}  {SLEEP}  {batch}" in active.out
    if service.environment["BROKER"] == "redis":
        assert later in scheduled.out and COUNT in scheduled.out
    else:
        assert "RabbitMQ keeps them itself until they are due" in scheduled.out
    assert limit.out.count("new rate limit set successfully") == len(names) and limit.code == 0
    assert f"{COUNT}  " in registered.out and " 7/m " in registered.out
    assert "without a limit" in no_limit.out

    service.stop("worker-backup")
    (runs_on, ended, waits), (on, off, consume), (unknown, wrong, empty) = side_by_side(
        service,
        [f"revoke {batch}", f"revoke {batch} --terminate", f"revoke {later}"],
        ["events on", "events off", "consume backup default"],
        ["rate app.tasks.faults.cont 1/s", f"rate {COUNT} 10/x", ["revoke", ""]],
    )
    assert f"It runs on {names['media']}, and goes on" in runs_on.out
    assert f"is ended on {names['media']}" in ended.out
    assert "workers that answered will start it" in waits.out
    eventually(lambda: service.task(batch)["state"] == "REVOKED", "the task to be ended")

    assert "task events enabled" in on.out and "task events disabled" in off.out
    assert consume.code == 0 and "add consumer backup" in consume.out
    moved = service.fault("count", count=3, queue="backup")["batch"]
    eventually(lambda: service.ledger(moved)["lost"] == 0, "the tasks of the other queue")
    assert unknown.code == wrong.code == empty.code == 2
    assert f"'app.tasks.faults.cont' is no task of this app.\n  Did you mean {COUNT}" in unknown.err
    assert "RATE = '10/x'" in wrong.err and "ID = ''" in empty.err

    service.start_worker("backup")
    (stop,) = celery_runtime(service, "consume backup default --stop")
    assert stop.code == 0, stop.err
    service.wait(lambda: service.health("worker-backup", "ready"), "the worker of the queue backup")


def side_by_side(service, *groups):
    """Each group of commands in a process of its own, at the same time: they wait for answers most of it."""
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda commands: celery_runtime(service, *commands), groups))


def test_row_26_nobody_answers(service, environment):
    """A broker that no worker is connected to: another database of the same Redis."""
    empty = service.environment | {"BROKER": "redis", "REDIS_URL": environment["REDIS_URL"].rpartition("/")[0] + "/9"}
    other = type("Other", (), {"environment": empty})
    (said,) = celery_runtime(other, "workers")
    assert said.code == 1
    assert said.err.startswith("No worker answered within 2 s.\n") and "make status" in said.err
