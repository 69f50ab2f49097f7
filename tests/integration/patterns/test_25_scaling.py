"""Row 25: a worker that grows with its work, and processes that are replaced after so many tasks or so much memory."""

from __future__ import annotations

import pytest

from tests.integration.patterns.commands import metric

QUEUES = """
[queues.media]
concurrency = 1
max_memory_per_child = "1Mi"
[queues.backup]
concurrency = 1
max_tasks_per_child = 2
"""


@pytest.fixture
def tight(service, tmp_path):
    """The workers of two queues with limits that every task, or every other, reaches."""
    (tmp_path / "queues.toml").write_text(QUEUES)
    for queue in ("media", "backup"):
        service.stop(f"worker-{queue}")
        service.start_worker(queue, QUEUES_FILE=tmp_path / "queues.toml")
    are_ready(service)
    yield
    for queue in ("media", "backup"):
        service.stop(f"worker-{queue}")
        service.start_worker(queue)
    are_ready(service)


def are_ready(service):
    service.wait(lambda: service.all_are("ready", ["worker-media", "worker-backup"]), "the workers", 30)


def test_row_25_autoscale_and_limits_of_a_process(service, tight, rows, eventually):
    waiting = service.fault("sleep", count=24, seconds=0.5, queue="email")["batch"]

    limited = {queue: service.fault("count", count=4, queue=queue)["batch"] for queue in ("media", "backup")}
    eventually(lambda: metric(service, "worker-email", "celery_slots") == 4, "four processes")
    for batch in (waiting, *limited.values()):
        eventually(lambda batch=batch: service.ledger(batch)["lost"] == 0, "the tasks to end")

    def processes(queue):
        ended = "SELECT count(DISTINCT pid) FROM fault_events WHERE batch = :batch AND kind = 'end'"
        return rows(ended, batch=limited[queue])[0][0]

    assert processes("media") == 4
    assert processes("backup") == 2
