from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from celery.exceptions import ChordError, SoftTimeLimitExceeded, WorkerLostError

from app import db, progress, storage
from app.models import FAILED, PROCESSING, READY, ImageVariant, now
from app.pictures import PictureError


def test_every_failure_has_a_reason_in_words():
    chord = ChordError("Dependency 1 raised PictureError('cut off')")
    chord.__cause__ = PictureError("cut off")
    assert progress.reason(chord) == "cut off"
    assert progress.reason(PictureError("cut off")) == "cut off"
    assert progress.reason(SoftTimeLimitExceeded()) == "it took longer than its queue allows"
    assert "killed" in progress.reason(WorkerLostError("signal 9 (SIGKILL)"))
    assert progress.reason(KeyError()) == "KeyError"
    assert progress.reason(PictureError("tag \0" + "x" * 900)) == "tag " + "x" * 496


def test_a_failed_check_removes_the_bytes_and_a_later_failure_keeps_them(stored, row, blobs):
    never_valid, was_valid = stored(), stored(validated_at=now())
    progress.fail(never_valid, PictureError("cut off"))
    assert (row(never_valid).state, row(never_valid).error) == (FAILED, "cut off")
    assert blobs() == {"original"}
    progress.fail(was_valid, PictureError("no memory"))
    assert row(was_valid).state == FAILED
    assert blobs() == {"original"}
    with db.transaction() as session:
        storage.get(session, f"{was_valid}/original")


@pytest.fixture
def all_but(stored, database):
    """A picture with everything that is derived from it, except the thumbnails of some sizes."""

    def store(*missing, **columns):
        image_id = stored(**{"validated_at": now(), "details": {}, **columns})
        with db.transaction() as session:
            for size in {2048, *progress.SIZES}.difference(missing):
                facts = {"kind": str(size), "size": size, "width": 1, "height": 1, "bytes": 1}
                session.add(ImageVariant(image_id=UUID(image_id), **facts))
        return image_id

    return store


def test_a_picture_that_only_lacks_its_mail_is_ready(all_but, row):
    image = all_but()
    progress.fail(image, PictureError("no such user"))
    assert row(image).state == READY
    assert row(image).error == "the mail about the picture could not be sent: no such user"


@pytest.mark.parametrize(("missing", "columns"), [((64,), {}), ((2048,), {}), ((), {"details": None})])
def test_a_picture_that_lacks_more_fails(all_but, row, missing, columns):
    image = all_but(*missing, **columns)
    progress.fail(image, PictureError("no memory"))
    assert (row(image).state, row(image).error) == (FAILED, "no memory")


def test_the_first_reason_stays(stored, row):
    image = stored()
    progress.fail(image, PictureError("first"))
    progress.fail(image, PictureError("second"))
    assert row(image).error == "first"


def test_a_picture_that_is_ready_fails_no_more(stored, row):
    image = stored(state=READY)
    progress.fail(image, PictureError("late"))
    assert (row(image).state, row(image).error) == (READY, None)


def test_a_picture_that_was_removed_is_named(database):
    image = str(uuid4())
    with pytest.raises(progress.ImageGoneError, match=image):
        progress.fail(image, PictureError("late"))


def test_done_counts_what_is_stored(stored, row):
    assert progress.done(row(stored())) == 0
    assert progress.done(row(stored(validated_at=now(), details={"camera": None}, notified_at=now()))) == 3
    assert row(stored()).state == PROCESSING
