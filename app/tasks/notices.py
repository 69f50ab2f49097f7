"""E-mail to authors, each a subscriber of an event. Delivered twice, a mail goes out twice, under one Message-ID."""

from uuid import UUID

from app import mail
from app.db import transaction
from app.events import PostChecked, PostLiked, PostPublished, UserRegistered, subscriber
from app.models import FactCheck, Post, User
from app.tasks import MailTask


@subscriber(UserRegistered, base=MailTask)
def welcome(user_id: str) -> str:
    """Greet a new user; returns the address."""
    with transaction() as session:
        user = session.get_one(User, UUID(user_id))
    text = f"Hello {user.name},\n\nyou may post now."
    return _tell(user.email, "Welcome", text, f"welcome-{user_id}")


@subscriber(PostPublished, base=MailTask)
def announce_post(post_id: str) -> str:
    """Tell the author that the post is published; returns the address."""
    post = _post(post_id)
    text = f"Your post is published:\n/posts/{post_id}\n"
    return _tell(post.user.email, "Your post is published", text, f"post-{post_id}")


@subscriber(PostChecked, base=MailTask)
def tell_verdict(post_id: str) -> str:
    """Tell the author what came of the fact check; returns the address."""
    post = _post(post_id)
    with transaction() as session:
        check = session.get_one(FactCheck, UUID(post_id))
    text = f"We checked the facts of your post: {check.verdict}.\n{check.reason}\n/posts/{post_id}\n"
    return _tell(post.user.email, f"Your post was checked: {check.verdict}", text, f"verdict-{post_id}")


@subscriber(PostLiked, base=MailTask, expires=24 * 3600)  # after an outage of days nobody wants to hear of each step
def congratulate(post_id: str, likes: int, new: int) -> str | None:
    """Tell the author of the 1st, 10th, 100th, ... like; returns the address, None when there is nothing to tell."""
    reached = 10 ** (len(str(likes)) - 1)
    if likes - new >= reached:
        return None
    text = f"{likes} {'person likes' if likes == 1 else 'people like'} your post:\n/posts/{post_id}\n"
    return _tell(_post(post_id).user.email, "Your post is liked", text, f"likes-{reached}-{post_id}")


def _post(post_id: str) -> Post:
    with transaction() as session:
        post = session.get_one(Post, UUID(post_id))
        post.user  # noqa: B018 -- read it while the session is open
        return post


def _tell(to: str, subject: str, text: str, name: str) -> str:
    mail.send(to, subject, text, mail.message_id(name))
    return to
