"""The image pipeline: validate, then compress, three thumbnails and metadata side by side, then a notice by e-mail.

The task that the API publishes replaces itself by the rest of the pipeline, so that the id which the client was
given ends with the result of the last step. Every step may run twice without harm: it stores the same under the same
name.
"""

from typing import Any

from celery import Signature, Task, group
from sqlalchemy.orm import Session

from app import pictures, storage
from app.celery import app
from app.db import transaction
from app.models import PROCESSING, READY, Image, ImageVariant, now
from app.progress import SIZES, fail, locked, original_key, step, variant_key
from app.tasks import DatabaseTask
from app.tasks.email import notify, outcome


@app.task(bind=True, base=DatabaseTask)
def process_image(self: Task, image_id: str) -> dict[str, Any]:
    """Check the picture, then become its pipeline. Publish it through `app.submit.process_image`."""
    with transaction() as session:
        image = locked(session, image_id)
        if image.state == READY and not image.error:  # delivered again after its pipeline ended
            return outcome(image)
        if image.state != PROCESSING:
            raise pictures.PictureError(image.error or "the picture failed before")
        original = storage.get(session, original_key(image.id))
    pictures.validate(original)
    with step(self, image_id, "validate") as (_, image):
        image.validated_at = now()
    self.request.errbacks = None  # replace() would link them to the chord, whose header they don't reach
    return self.replace(_pipeline(image_id))


def _pipeline(image_id: str) -> Signature:
    thumbnails = [thumbnail.si(image_id, size) for size in SIZES]
    steps = [compress.si(image_id), *thumbnails, metadata.si(image_id), notify.si(image_id)]
    for each in steps:
        each.link_error(image_failed.s(image_id))
    return group(steps[:-1]) | steps[-1]


@app.task(bind=True, base=DatabaseTask)
def compress(self: Task, image_id: str) -> None:
    """Store a JPEG that is small enough to show."""
    derived = pictures.compress(_original(image_id))
    with step(self, image_id, "compress") as (session, image):
        _store(session, image, "compressed", pictures.COMPRESSED_SIZE, derived)


@app.task(bind=True, base=DatabaseTask)
def thumbnail(self: Task, image_id: str, size: int) -> None:
    """Store a JPEG of at most `size` pixels."""
    derived = pictures.thumbnail(_original(image_id), size)
    with step(self, image_id, f"thumbnail {size}") as (session, image):
        _store(session, image, f"thumbnail-{size}", size, derived)


@app.task(bind=True, base=DatabaseTask)
def metadata(self: Task, image_id: str) -> None:
    """Store what the picture says about itself, except where it was taken."""
    details = pictures.describe(_original(image_id))
    with step(self, image_id, "metadata") as (_, image):
        image.details = details


@app.task
def image_failed(request: Any, error: BaseException, traceback: Any, image_id: str) -> None:
    """Error callback of the pipeline: Celery calls it in the process that saw the failure."""
    fail(image_id, error)


def _original(image_id: str) -> bytes:
    with transaction() as session:
        return storage.get(session, original_key(locked(session, image_id).id))


def _store(session: Session, image: Image, kind: str, size: int, derived: pictures.Derived) -> None:
    storage.put(session, variant_key(image.id, kind), derived.data)
    variant = next((known for known in image.variants if known.kind == kind), None)
    if variant is None:
        variant = ImageVariant(kind=kind, size=size)
        image.variants.append(variant)
    variant.width, variant.height, variant.bytes = derived.width, derived.height, len(derived.data)
