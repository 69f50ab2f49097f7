"""How far a picture's pipeline is, counted from what is stored, so that a step that runs twice counts once.

Steps of one picture run at the same time in several workers. Each holds the picture's row while it stores, counts and
publishes, so that progress never steps back and the first reason of a failure stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from celery import Task
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import storage
from app.db import transaction
from app.models import FAILED, PROCESSING, READY, Image

SIZES = (64, 256, 1024)  # pixels of the thumbnails' longest sides
STEPS = 4 + len(SIZES)  # validate, compress, each thumbnail, metadata, notify

# By name: an exception that was stored as JSON comes back as a class of the same name only.
REASONS = {
    "SoftTimeLimitExceeded": "it took longer than its queue allows",
    "TimeLimitExceeded": "it took longer than its queue allows",
    "WorkerLostError": "its worker process was killed, perhaps for want of memory",
    "MemoryError": "its worker ran out of memory",
}


class ImageGoneError(LookupError):
    """The picture was removed, or never accepted, while a task for it was on its way."""


def original_key(image_id: UUID) -> str:
    """Where the uploaded bytes are stored."""
    return f"{image_id}/original"


def variant_key(image_id: UUID, kind: str) -> str:
    """Where a derived JPEG is stored; `kind` is compressed or thumbnail-SIZE."""
    return f"{image_id}/{kind}"


def locked(session: Session, image_id: str) -> Image:
    """Return the picture, its row locked until the session ends. Raises ImageGoneError."""
    image = session.scalar(select(Image).where(Image.id == UUID(image_id)).with_for_update())
    if image is None:
        raise ImageGoneError(f"picture {image_id} does not exist any more")
    return image


@contextmanager
def step(task: Task, image_id: str, name: str) -> Iterator[tuple[Session, Image]]:
    """Store what a step made inside the block; then the root task of `task` shows the step as done."""
    with transaction() as session:
        image = locked(session, image_id)
        in_progress = image.state == PROCESSING
        yield session, image
        session.flush()
        if in_progress:
            _publish(task, done(image), name)


def done(image: Image) -> int:
    """How many of the STEPS are finished."""
    traces = (image.validated_at, image.details, image.notified_at)
    return len(image.variants) + sum(trace is not None for trace in traces)


def complete(image: Image) -> bool:
    """Whether everything derived from the picture is stored, so that nothing but the mail about it may be missing."""
    return done(image) - (image.notified_at is not None) == STEPS - 1


def without_mail(image: Image, why: str) -> None:
    """End a complete picture as ready, with the reason why nobody was told."""
    image.state, image.error = READY, f"the mail about the picture could not be sent: {why}"


def fail(image_id: str, error: BaseException) -> None:
    """Mark the picture as failed with the reason; one that was never valid loses its bytes.

    A complete picture is not worth less because a mail server is away: it becomes ready.
    """
    with transaction() as session:
        image = locked(session, image_id)
        if image.state != PROCESSING:
            return
        if complete(image):
            without_mail(image, reason(error))
        else:
            image.state, image.error = FAILED, reason(error)
        if image.validated_at is None:
            storage.delete(session, original_key(image.id))


def reason(error: BaseException) -> str:
    """Say in words why a task failed; a step's own reason where a chord only reports that a step failed."""
    cause = error.__cause__ if type(error).__name__ == "ChordError" and error.__cause__ else error
    name = type(cause).__name__
    return (REASONS.get(name) or str(cause) or name).replace("\0", "")[:500]  # PostgreSQL stores no NUL


def _publish(task: Task, count: int, name: str) -> None:
    meta = {"done": count, "total": STEPS, "percent": round(100 * count / STEPS), "step": name}
    root = task.request.root_id or task.request.id
    task.update_state(task_id=root, state="PROGRESS", meta=meta)
