from __future__ import annotations

from uuid import uuid4

import pytest
from celery.exceptions import ChordError, SoftTimeLimitExceeded, WorkerLostError

from app import db, progress, storage
from app.models import FAILED, PROCESSING, READY, now
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
