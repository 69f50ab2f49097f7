"""Posts that are published later."""

from uuid import UUID

from sqlalchemy import select

from app import events
from app.celery import app
from app.db import transaction
from app.models import Post, now
from app.tasks import DatabaseTask


@app.task(base=DatabaseTask)
def publish_post(post_id: str) -> str | None:
    """Let everybody see the post, and say so; returns its address. The API sends it with an ETA of `publish_at`.

    None when the author called it off: the row decides that, because a revocation lives in the memory of the workers
    that heard of it. Delivered twice, it finds the post published.
    """
    with transaction() as session:
        wanted = select(Post).where(Post.id == UUID(post_id)).with_for_update(of=Post)
        post = session.scalar(wanted)
        if post is None:
            return None
        if post.published_at is None:
            post.published_at = now()
            events.publish(session, events.PostPublished(post_id))
    return f"/posts/{post_id}"
