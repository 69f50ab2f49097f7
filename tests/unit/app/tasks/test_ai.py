from __future__ import annotations

from uuid import UUID

import pytest

from app import ai, tokens
from app.db import transaction
from app.models import FactCheck
from app.tasks import ai as tasks
from celery_runtime.tasks.signals import task_gave_up


@pytest.fixture(autouse=True)
def budget(monkeypatch):
    """What the budget answers, one after the other, and then that there is enough; and what was taken."""
    waits, taken = [], []

    def take(wanted, budget):
        taken.append((wanted, budget))
        return waits.pop(0) if waits else 0

    monkeypatch.setattr(tokens, "take", take)
    return waits, taken


@pytest.fixture
def alerts():
    seen = []

    def wake(name, exception, fallback, attempt, **_):
        seen.append((name, type(exception).__name__, fallback, attempt))

    task_gave_up.connect(wake)
    yield seen
    task_gave_up.disconnect(wake)


def check(post_id):
    return tasks.check_facts.apply(args=(post_id,)).get()


def stored(post_id):
    with transaction() as session:
        found = session.get(FactCheck, UUID(post_id))
    return found and (found.verdict, found.confidence, found.reason)


def test_the_verdict_is_stored_and_told_together(ai_settings, posted, happened, alerts):
    post_id = posted("2 + 2 = 5")
    assert check(post_id) == {"post": f"/posts/{post_id}", "verdict": "false"}
    assert stored(post_id) == ("false", 0.99, "2 + 2 is 4.")
    assert happened() == [("PostChecked", {"post_id": post_id})]
    assert alerts == []


def test_delivered_again_it_asks_nobody(ai_settings, posted, happened, budget):
    post_id = posted("2 + 2 = 5")
    assert check(post_id) == check(post_id)
    assert len(budget[1]) == 1 and len(happened()) == 1


def test_delivered_twice_at_once_the_first_verdict_stays(posted, happened, monkeypatch):
    post_id = posted("2 + 2 = 5")
    first, second = (ai.Verdict(verdict=verdict, confidence=1, reason="So.") for verdict in ("false", "true"))

    def check_meanwhile(text):
        tasks._store(UUID(post_id), first)
        return second

    monkeypatch.setattr(ai, "check", check_meanwhile)
    check(post_id)
    assert stored(post_id)[0] == "false" and len(happened()) == 1


def test_a_service_that_is_busy_is_asked_again(ai_settings, posted, alerts):
    post_id = posted("[[status=503]] [[times=3]] 2 + 2 = 5 once more")
    assert check(post_id)["verdict"] == "false"
    assert alerts == []


def test_after_the_last_try_it_is_unverified_and_somebody_hears_of_it(ai_settings, posted, happened, alerts, budget):
    post_id = posted("[[status=503]]")
    assert check(post_id)["verdict"] == "unverified"
    assert stored(post_id) == ("unverified", 0, "The service that checks facts could not be asked.")
    assert happened() == [("PostChecked", {"post_id": post_id})]
    assert alerts == [("app.tasks.ai.check_facts", "AiUnavailableError", True, 5)] and len(budget[1]) == 5


def test_what_the_service_refuses_is_not_asked_again(ai_settings, posted, alerts, budget):
    assert check(posted("[[status=401]]"))["verdict"] == "unverified"
    assert alerts == [("app.tasks.ai.check_facts", "AiRefusedError", True, 1)] and len(budget[1]) == 1


def test_waiting_for_tokens_uses_up_no_try(ai_settings, posted, budget, alerts):
    waits, taken = budget
    waits += [30] * 20  # more often than there are tries
    ai_settings(AI_TOKENS_PER_MINUTE="5000")
    post_id = posted("2 + 2 = 5")
    assert check(post_id)["verdict"] == "false"
    assert taken == [(ai.tokens("2 + 2 = 5"), 5000)] * 21 and alerts == []
