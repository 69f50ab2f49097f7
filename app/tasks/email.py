"""E-mail to the owners of pictures. A busy mail server is tried again for some minutes, a refusal is final."""

from typing import Any

from celery import Task

from app import mail
from app.celery import app
from app.db import transaction
from app.models import FAILED, READY, Image, now
from app.progress import locked, step
from app.settings import settings
from app.tasks import MailTask


@app.task(
    bind=True,
    base=MailTask,
    track_started=False,  # it has the id of the whole pipeline, whose progress STARTED would hide
)
def notify(self: Task, image_id: str) -> dict[str, Any]:
    """Tell the owner that the picture is ready, and end the pipeline.

    Killed between the mail and its record, it sends the mail again, under the same Message-ID.
    """
    with transaction() as session:
        image = locked(session, image_id)
        recipient, notified = _recipient(image), image.notified_at
    if notified is None:
        text = f"Your picture of {image.width} x {image.height} pixels is ready:\n/images/{image.id}\n"
        mail.send(recipient, "Your picture is ready", text, mail.message_id(f"image-{image.id}"))
    with step(self, image_id, "notify") as (_, image):
        image.notified_at = image.notified_at or now()
        if image.state != FAILED:
            image.state, image.error = READY, None  # an earlier try may have left the reason why it sent nothing
        return outcome(image)


def outcome(image: Image) -> dict[str, Any]:
    """The result of a pipeline that ended well."""
    return {"image": f"/images/{image.id}", "state": image.state, "notified": _recipient(image)}


def _recipient(image: Image) -> str:
    return image.user.email if image.user else settings().mail_to
