"""What is not urgent waits, in the same queue."""

from __future__ import annotations

EACH = 20
STARTS = "SELECT batch::text FROM fault_events WHERE kind = 'start' AND batch IN (:low, :normal) ORDER BY at, id"


def test_row_17_priorities_let_what_came_later_start_earlier(service, rows, eventually):
    for seconds in (1, 4, 16):  # until the worker is busy for longer than it takes to publish
        busy = service.fault("sleep", count=2, seconds=seconds)["batch"]  # a task for each of its slots
        eventually(lambda busy=busy: service.ledger(busy)["started"] == 2, "the worker to be busy")
        low = service.fault("count", count=EACH, priority="low")["batch"]
        normal = service.fault("count", count=EACH)["batch"]
        if not service.ledger(busy)["ended"]:
            break

    eventually(lambda: service.ledger(low)["ended"] == service.ledger(normal)["ended"] == EACH, "all tasks")
    starts = [batch for (batch,) in rows(STARTS, low=low, normal=normal)]
    # RabbitMQ's quorum queues let one of three be a low one, so that those are not starved.
    assert starts[:EACH].count(normal) > EACH / 2
