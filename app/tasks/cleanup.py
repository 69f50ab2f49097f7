"""Remove what nobody will look at again. Beat publishes these; `app/schedule.py` says when."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app import storage
from app.celery import app
from app.db import transaction
from app.models import FAILED, PROCESSING, FaultBatch, FaultEvent, Image, now
from app.progress import complete, original_key, variant_key, without_mail
from app.tasks import DatabaseTask
from celery_runtime.tasks.effect import forget_effects

KEEP_FAULTS = timedelta(days=1)  # the longest soak test, and a night to look at its ledger
KEEP_DEAD_IMAGES = timedelta(days=7)  # long enough for its owner to ask why, and for a queue that was stopped
KEEP_EFFECTS = timedelta(days=90)  # no broker delivers a task again after so long
CHUNK = 100  # rows a transaction, so that no row is locked for long


@app.task(base=DatabaseTask)
def remove_old_fault_batches() -> int:
    """Remove the ledgers of batches older than KEEP_FAULTS; returns how many."""
    with transaction() as session:
        old = list(session.scalars(select(FaultBatch.id).where(FaultBatch.created_at < now() - KEEP_FAULTS)))
    for batch in old:
        with transaction() as session:
            session.execute(delete(FaultEvent).where(FaultEvent.batch == batch))
            session.execute(delete(FaultBatch).where(FaultBatch.id == batch))
    return len(old)


@app.task(base=DatabaseTask)
def remove_dead_images() -> int:
    """Remove pictures that failed, or are stuck, since KEEP_DEAD_IMAGES; returns how many.

    One that only waits for its mail is ready from now on; should its queue still come back, the mail is sent.
    """
    removed = 0
    while chunk := _end_chunk():
        removed += sum(chunk)
    return removed


@app.task(base=DatabaseTask)
def remove_old_effects() -> int:
    """Remove the marks of effects that happened once and cannot be asked for again; returns how many."""
    with transaction() as session:
        return forget_effects(session, KEEP_EFFECTS)


def _end_chunk() -> list[bool]:
    """Whether each picture of the chunk was removed; empty when there are no more."""
    dead = (
        select(Image)
        .where(Image.state.in_((PROCESSING, FAILED)), Image.updated_at < now() - KEEP_DEAD_IMAGES)
        .limit(CHUNK)
        .with_for_update(skip_locked=True)
    )
    with transaction() as session:
        return [_remove_or_keep(session, image) for image in session.scalars(dead).all()]


def _remove_or_keep(session: Session, image: Image) -> bool:
    if image.state == PROCESSING and complete(image):
        without_mail(image, f"no worker of its queue sent it within {KEEP_DEAD_IMAGES.days} days")
        return False
    for variant in image.variants:
        storage.delete(session, variant_key(image.id, variant.kind))
    storage.delete(session, original_key(image.id))
    session.delete(image)
    return True
