"""The search index: a post when it is published, an author's posts when the name changes, and everything anew.

A chunk is many posts in one message, and knows no second try: Celery's own `celery.starmap` and `celery.map` run it. So
what a chunk leaves out, because the database went away under it, stays outdated, and the next round takes it up.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from celery import Signature, Task, group
from celery.utils.log import get_task_logger
from sqlalchemy import func, select, update

from app import priority, search
from app.celery import app
from app.db import transaction
from app.events import PostPublished, UserRenamed, subscriber
from app.models import Post, SearchEntry, now
from app.tasks import DATABASE_AWAY, DatabaseTask

CHUNK = 200  # posts in a message
STALLS, PAUSE = 10, 5  # rounds that may come to nothing, and seconds between them
ROUND = 10  # chunks at a time: a million posts must not fill the queue with messages
log = get_task_logger(__name__)


class StalledError(Exception):
    """Round after round wrote no entry: the database is there for whoever asks, and away for whoever writes."""


@subscriber(PostPublished, base=DatabaseTask)
def index_post(post_id: str) -> None:
    """Write the entry of one post; as often as it runs, the entry is that of the post as it is now."""
    with transaction() as session:
        search.index(session, UUID(post_id))


@subscriber(UserRenamed, bind=True, base=DatabaseTask)
def index_posts_of(self: Task, user_id: str) -> Any:
    """Write the entries of an author's posts anew."""
    posts = select(Post.id).where(Post.user_id == UUID(user_id))
    with transaction() as session:
        session.execute(update(SearchEntry).where(SearchEntry.post_id.in_(posts)).values(indexed_at=None))
    return self.replace(index_outdated.si(None, CHUNK))


@app.task(bind=True, base=DatabaseTask, track_started=False)
def reindex(self: Task, chunk: int = CHUNK) -> Any:
    """Write every entry anew, `chunk` posts to a message; the result is how many posts there are."""
    return self.replace(index_outdated.si(now().isoformat(), chunk).set(priority=priority.LOW))


@app.task(bind=True, base=DatabaseTask, track_started=False)  # STARTED would hide how far it is between two rounds
def index_outdated(self: Task, before: str | None, chunk: int, left_before: int = 0, stalled: int = 0) -> Any:
    """Write what is missing, marked as outdated, or older than `before`: a round of chunks, and then itself again.

    left_before: how many were left when the last round began. stalled: how many rounds came to nothing, one by one.
    """
    with transaction() as session:
        outdated = search.outdated(before and datetime.fromisoformat(before))
        left = session.scalar(select(func.count()).select_from(outdated.subquery())) or 0
        total = session.scalar(select(func.count()).where(Post.published_at.is_not(None))) or 0
        ids = [str(post_id) for post_id in session.scalars(outdated.limit(chunk * ROUND))]
    if not ids:
        return {"posts": total}
    stalled = stalled + 1 if left == left_before else 0
    if stalled > STALLS:
        raise StalledError(f"{left} posts are outdated after {STALLS} more rounds, as they were before")
    meta = {"done": total - left, "total": total, "percent": round(100 * (total - left) / total), "step": "index"}
    self.update_state(state="PROGRESS", meta=meta)
    options = {"priority": _priority(self), "countdown": PAUSE if stalled else None}
    then = index_outdated.si(before, chunk, left, stalled)
    return self.replace(_round(ids, chunk, then, options))


@app.task
def index_if_possible(post_id: str) -> bool:
    """Write one entry in a chunk; returns whether it could."""
    try:
        index_post(post_id)
    except DATABASE_AWAY as error:
        log.warning("post %s was left for the next round: %s", post_id, error)
        return False
    return True


def _round(ids: Sequence[str], chunk: int, then: Signature, options: dict[str, Any]) -> Signature:
    """One message for a few posts, several side by side for many; `then` follows the last."""
    if len(ids) <= chunk:
        first = index_if_possible.map(ids).set(**options)
    else:
        chunks = index_if_possible.chunks(((post_id,) for post_id in ids), chunk).group()
        first = group(part.set(**options) for part in chunks.tasks)
    return first | then.set(priority=options["priority"])


def _priority(task: Task) -> int:
    found = (task.request.delivery_info or {}).get("priority")
    return priority.NORMAL if found is None else found
