"""What follows a new post."""

from uuid import UUID

from celery import Task

from app import mail
from app.celery import app
from app.db import transaction
from app.models import Post, User
from app.tasks import MailTask


@app.task(bind=True, base=MailTask)
def announce_post(self: Task, post_id: str) -> str | None:
    """Tell the author that the post is published; returns the address, None when the post is gone.

    Delivered twice, it sends the mail twice, under the same Message-ID.
    """
    with transaction() as session:
        post = session.get(Post, UUID(post_id))
        recipient = post and session.get_one(User, post.user_id).email
    if recipient:
        text = f"Your post is published:\n/posts/{post_id}\n"
        mail.send(recipient, "Your post is published", text, mail.message_id(f"post-{post_id}"))
    return recipient
