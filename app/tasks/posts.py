"""What follows a new post."""

from uuid import UUID

from celery import Task

from app import mail
from app.celery import app
from app.db import transaction
from app.models import Post, User
from app.settings import settings
from app.tasks import DATABASE_AWAY, DatabaseTask


@app.task(
    bind=True,
    base=DatabaseTask,
    autoretry_for=(mail.MailUnavailableError, *DATABASE_AWAY),
    retry_kwargs={"max_retries": 8},
    retry_backoff=2,
    retry_backoff_max=300,
)
def announce_post(self: Task, post_id: str) -> str | None:
    """Tell the author that the post is published; returns the address, None when the post is gone.

    Delivered twice, it sends the mail twice, under the same Message-ID.
    """
    with transaction() as session:
        post = session.get(Post, UUID(post_id))
        recipient = post and session.get_one(User, post.user_id).email
    if recipient:
        domain = settings().mail_from.rpartition("@")[2]
        text = f"Your post is published:\n/posts/{post_id}\n"
        mail.send(recipient, "Your post is published", text, message_id=f"<post-{post_id}@{domain}>")
    return recipient
