"""Row 22: a task that is delivered again and again charges once."""

from __future__ import annotations

import sys

from tests.integration.patterns.commands import metric

DELIVERIES = 20


def test_row_22_idempotent_effect(service, user, mails, eventually):
    ada = user()
    service.api.post(f"/users/{ada['id']}/subscription", json={"plan": "basic", "zone": "UTC"}).raise_for_status()
    made = service.api.post("/schedule/renew-subscriptions/run").json()
    service.follow(made["task_id"])
    (bill,) = service.api.get(f"/users/{ada['id']}/bills").json()

    # The same message many times, as after lost acknowledgements, for both processes of the worker at once.
    ended = 'celery_tasks_ended_total{outcome="succeeded",queue="default",task="app.tasks.bills.charge_bill"}'
    before = metric(service, "worker-default", ended)
    script = (
        "from app.celery import app\n"
        f"charge = app.signature('app.tasks.bills.charge_bill', args=['{bill['id']}'], task_id='{bill['id']}')\n"
        f"for _ in range({DELIVERIES}): charge.apply_async()\n"
    )
    service.run("charge", [sys.executable, "-c", script])
    eventually(lambda: metric(service, "worker-default", ended) == before + DELIVERIES, "every delivery to end")

    assert service.api.get(f"/users/{ada['id']}/subscription").json()["charged_cents"] == 500
    assert service.api.get(f"/bills/{bill['id']}").json()["paid_at"]
    assert service.api.post(f"/bills/{bill['id']}/pay").status_code == 409
    eventually(lambda: mails(ada["email"], "receipt"), "the receipt")
    assert len(mails(ada["email"], "receipt")) == 1
