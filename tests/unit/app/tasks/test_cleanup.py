from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app import db, storage
from app.models import FAILED, PROCESSING, READY, FaultBatch, FaultEvent, Image, ImageVariant, now
from app.tasks import cleanup

OLD = timedelta(days=8)


@pytest.fixture
def count(database):
    def rows(model):
        with database.transaction() as session:
            return session.scalar(select(func.count()).select_from(model))

    return rows


@pytest.mark.parametrize("state", [PROCESSING, FAILED])
def test_a_dead_picture_goes_with_all_its_bytes(stored, row, blobs, count, state):
    image_id = stored(state=state, updated_at=now() - OLD)
    with db.transaction() as session:
        session.add(ImageVariant(image_id=UUID(image_id), kind="thumbnail-64", size=64, width=1, height=1, bytes=1))
        storage.put(session, f"{image_id}/thumbnail-64", b"x")
    assert cleanup.remove_dead_images() == 1
    assert row(image_id) is None
    assert (blobs(), count(ImageVariant)) == (set(), 0)


def test_pictures_that_live_stay(stored, row):
    ready = stored(state=READY, updated_at=now() - OLD)
    recent = [stored(state=state, updated_at=now() - timedelta(days=6)) for state in (PROCESSING, FAILED)]
    assert cleanup.remove_dead_images() == 0
    assert all(row(image_id) for image_id in (ready, *recent))


def test_a_picture_that_waits_for_its_mail_alone_is_kept_as_ready(stored, row, blobs):
    """As when nobody served the queue of e-mails for a week."""
    image_id = stored(validated_at=now(), details={})
    dead = stored(validated_at=now(), updated_at=now() - OLD)
    with db.transaction() as session:
        for size in (64, 256, 1024, 2048):
            facts = {"kind": str(size), "size": size, "width": 1, "height": 1, "bytes": 1}
            session.add(ImageVariant(image_id=UUID(image_id), **facts))
        session.get(Image, UUID(image_id)).updated_at = now() - OLD
    assert cleanup.remove_dead_images() == 1
    assert row(dead) is None
    assert row(image_id).state == READY and "within 7 days" in row(image_id).error
    assert blobs() == {"original"}


def test_more_than_one_chunk_is_removed(stored, monkeypatch):
    monkeypatch.setattr(cleanup, "CHUNK", 2)
    for _ in range(5):
        stored(state=FAILED, updated_at=now() - OLD)
    assert cleanup.remove_dead_images() == 5


def test_old_batches_go_with_their_ledger_and_young_ones_stay(database, count):
    batches = [
        FaultBatch(name="count", queue="default", count=2, seconds=0, created_at=now() - timedelta(hours=age))
        for age in (25, 23)
    ]
    with database.transaction() as session:
        session.add_all(batches)
        session.flush()
        for batch in batches:
            session.add(FaultEvent(batch=batch.id, n=0, kind="start", host="h", pid=1))
    assert cleanup.remove_old_fault_batches() == 1
    with database.transaction() as session:
        assert [batch.id for batch in session.query(FaultBatch)] == [batches[1].id]
        assert [event.batch for event in session.query(FaultEvent)] == [batches[1].id]
