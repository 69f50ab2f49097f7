"""Retry, then a fallback, then somebody is woken: a check that fails for good."""

from __future__ import annotations

from tests.integration.patterns.commands import metric

NEVER = {"503": "[[status=503]] [[retry-after=1]] 2 + 2 = 4", "refused": "[[status=400]] 2 + 3 = 5"}
FALLBACKS = 'celery_fallbacks_total{task="app.tasks.ai.check_facts"}'


def test_row_07_a_check_that_fails_for_good_falls_back_and_wakes_somebody(
    service, user, post, mails, verdict, eventually
):
    before = metric(service, "worker-ai", FALLBACKS)
    ada = user()
    made = {name: post(ada, f"{text} ({ada['id']})") for name, text in NEVER.items()}

    assert eventually(lambda: verdict(made["refused"]), "the refusal") == "unverified"
    assert eventually(lambda: verdict(made["503"]), "the last try") == "unverified"
    eventually(lambda: len(mails(ada["email"], "checked: unverified")) == 2, "the mails")
    check = service.api.get(f"/posts/{made['503']['id']}").json()["fact_check"]
    assert check["reason"] == "The service that checks facts could not be asked."
    assert metric(service, "worker-ai", FALLBACKS) - before == 2
    alerts = [line for line in service.log("worker-ai").splitlines() if "gave up, its fallback took over" in line]
    assert any("attempt=5" in line and "503" in line for line in alerts)
    assert any("attempt=1" in line and "400" in line for line in alerts)
