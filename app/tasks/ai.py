"""The fact check of a post: tried again while the service is busy, then given up as unverified, and told to somebody.

One whose process is killed between the service's answer and its row asks again, and pays again; the rest happens once.
"""

import random
from typing import Any, ClassVar
from uuid import UUID

from celery import Task

from app import ai, events, tokens
from app.db import insert, transaction
from app.models import FactCheck, Post, now
from app.settings import settings
from app.tasks import STORES_AWAY, DatabaseTask

# The author and every reader see it. Why is in the log, and in what `task_gave_up` carries: it may name our servers.
GAVE_UP = ai.Verdict(verdict="unverified", confidence=0, reason="The service that checks facts could not be asked.")


class FactCheckTask(DatabaseTask):
    """Tries again while the service is away, busy, or talks nonsense: after its Retry-After, or in growing pauses."""

    autoretry_for = (ai.AiUnavailableError, *STORES_AWAY)
    retry_kwargs: ClassVar = {"max_retries": 4}

    def fallback(self, error: Exception, post_id: str) -> dict[str, Any]:
        """Called after the last try, and when the service refused; then the runtime sends `task_gave_up`."""
        return _store(UUID(post_id), GAVE_UP)


@events.subscriber(events.PostPublished, bind=True, base=FactCheckTask)
def check_facts(self: Task, post_id: str) -> dict[str, Any]:
    """Store the service's verdict about a post; returns it.

    A budget that is used up is waited for without a slot of the pool, and without using up a try.
    """
    with transaction() as session:
        post = session.get_one(Post, UUID(post_id))
    if post.fact_check:  # delivered again
        return {"post": f"/posts/{post_id}", "verdict": post.fact_check.verdict}
    if pause := tokens.take(ai.tokens(post.body), settings().ai_tokens_per_minute):
        # At random, so that not all who wait come back in the same second.
        raise self.postpone(pause * random.uniform(1, 1.3), "the token budget of this minute is used up")  # noqa: S311
    return _store(post.id, ai.check(post.body))


def _store(post_id: UUID, verdict: ai.Verdict) -> dict[str, Any]:
    """Store the first verdict about a post and tell of it, both or neither."""
    row = {**verdict.model_dump(), "post_id": post_id, "checked_at": now()}
    with transaction() as session:
        first = insert(session, FactCheck).values(row).on_conflict_do_nothing().returning(FactCheck.post_id)
        if session.scalar(first):
            events.publish(session, events.PostChecked(str(post_id)))
    return {"post": f"/posts/{post_id}", "verdict": verdict.verdict}
