"""A queue per kind of work, and another one for once."""

from __future__ import annotations


def test_row_15_a_task_goes_to_the_queue_of_its_caller_for_once(service, rows, eventually):
    here = service.fault("count")["batch"]
    there = service.fault("count", queue="ai")["batch"]

    eventually(lambda: service.ledger(here)["ended"] and service.ledger(there)["ended"], "both tasks")
    pids = dict(rows("SELECT batch::text, pid FROM fault_events WHERE kind = 'start'"))
    assert pids[there] == service.processes["worker-ai"].pid, "whose pool is one of threads"
    assert pids[here] != pids[there]
