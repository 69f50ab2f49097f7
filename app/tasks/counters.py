"""Likes, from Redis into the database. Beat sends this every few seconds: see `app/likes.py` for what may happen."""

from uuid import UUID

from sqlalchemy.orm import Session

from app import events, likes
from app.celery import app
from app.db import insert, transaction
from app.models import PostLikes
from app.tasks import STORES_AWAY, DatabaseTask
from celery_runtime.tasks.effect import once


class CounterTask(DatabaseTask):
    """Tries again while Redis is away, too."""

    autoretry_for = STORES_AWAY


@app.task(base=CounterTask)
def flush_likes() -> int:
    """Add the likes that wait to those in the database; returns how many."""
    count = 0
    for _ in range(2):  # what a flush that was killed had taken, and what waits
        if batch := likes.take():
            count += _store(batch)
            likes.drop(batch)
    return count


def _store(batch: likes.Batch) -> int:
    """Add a batch unless it was added before, and tell of every post in it, both or neither."""
    with transaction() as session:
        if not once(session, batch.effect):
            return 0
        for post_id, count in _add(session, batch.counts):
            events.publish(session, events.PostLiked(str(post_id), count, batch.counts[str(post_id)]))
    return sum(batch.counts.values())


def _add(session: Session, counts: dict[str, int]) -> list[tuple[UUID, int]]:
    """One statement for all posts; returns what each has now."""
    # In one order everywhere, so that two flushes never wait for each other's rows.
    rows = [{"post_id": UUID(post), "count": count} for post, count in sorted(counts.items())]
    new = insert(session, PostLikes)
    upsert = new.on_conflict_do_update(
        index_elements=[PostLikes.post_id], set_={"count": PostLikes.count + new.excluded.count}
    )
    return session.execute(upsert.returning(PostLikes.post_id, PostLikes.count), rows).all() if rows else []
