"""A worker for each queue, with the pool, the slots and the limits that queues.toml gives it."""

from __future__ import annotations

import json
import sys

from celery_runtime.queues import load_queues
from tests.integration.processes import ROOT

QUEUES = load_queues(ROOT / "queues.toml")
ASK = (
    f"import json; from app.celery import app; workers = app.control.inspect(limit={len(QUEUES)}, timeout=20)\n"
    "print(json.dumps([workers.stats(), workers.active_queues()]))"
)
MODULES = {
    "direct": "celery_runtime.direct.pool",
    "prefork": "celery.concurrency.prefork",
    "threads": "celery.concurrency.thread",
}


def test_row_16_each_queue_has_a_worker_with_its_own_pool_and_limits(service, broker):
    said = service.run("ask the workers", [sys.executable, "-c", ASK]).splitlines()[-1]
    stats, served = ({name.partition("@")[0]: told for name, told in answers.items()} for answers in json.loads(said))

    for name, queue in QUEUES.items():
        pool, told = queue.pool_on(broker, claims=True), stats[name]["pool"]
        assert [each["name"] for each in served[name]] == [name]
        assert told["implementation"].startswith(MODULES[pool]), name
        if queue.autoscale:
            assert stats[name]["autoscaler"]["min"] == queue.autoscale.min
            assert stats[name]["autoscaler"]["max"] == queue.autoscale.max
        else:
            assert told["max-concurrency"] == queue.concurrency, name
        if pool != "threads":
            assert told["timeouts"] == [queue.soft_time_limit, queue.time_limit], name
            assert told["max-tasks-per-child"] == queue.max_tasks_per_child, name
    assert {stats[name]["pool"]["max-concurrency"] for name in ("default", "ai", "backup")} == {2, 16, 1}
    assert len({tuple(stats[name]["pool"]["timeouts"]) for name in ("default", "media", "backup")}) == 3
