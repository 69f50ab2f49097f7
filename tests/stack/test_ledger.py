from __future__ import annotations

import pytest

from tests.stack.stack import wait_for


def fault(stack, name, **body):
    answer = stack.api.post(f"/faults/{name}", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def ledger(stack, batch):
    return stack.api.get(f"/faults/ledger/{batch}").raise_for_status().json()


def test_two_thousand_tasks_none_lost_none_doubled(stack):
    sent = fault(stack, "count", count=2000)
    assert sent["accepted"] == 2000

    wait_for("2000 ends", lambda: ledger(stack, sent["batch"])["ended"] >= 2000, timeout=120)
    verdict = ledger(stack, sent["batch"])
    assert (verdict["accepted"], verdict["ended"], verdict["lost"], verdict["doubled"]) == (2000, 2000, 0, 0)


@pytest.mark.parametrize("queue", ["default", "media", "ai", "email"])
def test_every_queue_has_a_worker(stack, queue):
    batch = fault(stack, "count", count=5, queue=queue)["batch"]
    wait_for(f"5 ends in {queue}", lambda: ledger(stack, batch)["ended"] == 5)


def test_a_failing_task_starts_and_does_not_stop_the_next(stack):
    failing = fault(stack, "fail", count=3)["batch"]
    counting = fault(stack, "count", count=3)["batch"]
    wait_for("3 starts", lambda: ledger(stack, failing)["started"] >= 3)
    wait_for("3 ends", lambda: ledger(stack, counting)["ended"] == 3)
