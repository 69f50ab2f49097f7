from __future__ import annotations

import io
from uuid import UUID, uuid4

import pytest
from PIL import Image

from app import db, pictures, storage, submit
from app.celery import app
from app.models import FAILED, READY
from app.progress import SIZES, variant_key
from app.tasks import media

EVERYTHING = {"original", "compressed", "thumbnail-64", "thumbnail-256", "thumbnail-1024"}


@pytest.fixture
def states(monkeypatch):
    """What was published about the pipeline, in order."""
    seen, backend = [], type(app.backend)
    store = backend.store_result

    def noted(self, task_id, result, state, *args, **options):
        if state == "PROGRESS":
            seen.append((task_id, result))
        return store(self, task_id, result, state, *args, **options)

    monkeypatch.setattr(backend, "store_result", noted)  # the class: each thread has a backend of its own
    return seen


def run(image_id):
    """Start the pipeline as the API does; returns what the result store has in the end."""
    task_id = uuid4()
    submit.process_image(UUID(image_id), task_id)
    return submit.look_up(str(task_id))


def bytes_of(image_id, kind):
    with db.transaction() as session:
        return storage.get(session, variant_key(UUID(image_id), kind))


def test_a_picture_goes_through(stored, row, blobs, smtp, picture, exif):
    image_id = stored(picture(size=(1500, 1000), exif=exif))
    meta = run(image_id)
    assert meta["status"] == "SUCCESS"
    assert meta["result"] == {"image": f"/images/{image_id}", "state": "ready", "notified": "owner@localhost"}
    image = row(image_id)
    assert (image.state, image.error) == (READY, None)
    sizes = {variant.kind: (variant.size, variant.width, variant.height) for variant in image.variants}
    assert sizes == {
        "compressed": (2048, 1000, 1500),
        "thumbnail-64": (64, 43, 64),
        "thumbnail-256": (256, 171, 256),
        "thumbnail-1024": (1024, 683, 1024),
    }
    assert (image.details["camera"], image.details["width"]) == ("Example One", 1000)
    assert "52" not in str(image.details)
    assert blobs() == EVERYTHING
    for variant in image.variants:
        data = bytes_of(image_id, variant.kind)
        assert len(data) == variant.bytes
        assert not Image.open(io.BytesIO(data)).getexif()
    (message,) = smtp.messages
    assert message.to == ["owner@localhost"] and f"/images/{image_id}" in message.text


def test_the_api_s_task_id_shows_every_step_and_ends_with_the_last_one(stored, smtp, states):
    image_id, task_id = stored(), uuid4()
    submit.process_image(UUID(image_id), task_id)
    assert {root for root, _ in states} == {str(task_id)}
    metas = [meta for _, meta in states]
    assert [meta["done"] for meta in metas] == [1, 2, 3, 4, 5, 6, 7]
    assert {meta["total"] for meta in metas} == {7}
    assert [meta["percent"] for meta in metas] == [14, 29, 43, 57, 71, 86, 100]
    assert {meta["step"] for meta in metas} == {
        "validate", "compress", "thumbnail 64", "thumbnail 256", "thumbnail 1024", "metadata", "notify",
    }  # fmt: skip
    assert submit.look_up(str(task_id))["status"] == "SUCCESS"


@pytest.mark.parametrize("cut", [0.5, 0.99])
def test_a_damaged_picture_fails_with_the_reason(stored, row, blobs, smtp, picture, cut):
    data = picture()
    image_id = stored(data[: int(len(data) * cut)])
    meta = run(image_id)
    assert meta["status"] == "FAILURE"
    assert "damaged or cut off" in str(meta["result"])
    image = row(image_id)
    assert image.state == FAILED and image.error == str(meta["result"])
    assert (blobs(), smtp.messages) == (set(), [])


@pytest.mark.parametrize("function", ["compress", "thumbnail", "describe"])
def test_a_failure_of_any_step_fails_the_picture_and_the_task(stored, row, smtp, monkeypatch, function):
    def broken(*_):
        raise pictures.PictureError(f"{function} is on strike")

    monkeypatch.setattr(pictures, function, broken)
    image_id = stored()
    meta = run(image_id)
    assert meta["status"] == "FAILURE" and f"{function} is on strike" in str(meta["result"])
    assert (row(image_id).state, row(image_id).error) == (FAILED, f"{function} is on strike")
    assert smtp.messages == []


@pytest.mark.parametrize("answer", ["550 no such user", "450 busy for hours"])
def test_a_mail_that_cannot_be_sent_fails_the_task_but_not_the_picture(stored, row, blobs, smtp, answer):
    smtp.answer = answer
    image_id = stored()
    meta = run(image_id)
    assert (meta["status"], str(meta["result"])) == ("FAILURE", f"the mail server answered {answer}")
    assert row(image_id).state == READY
    assert row(image_id).error == f"the mail about the picture could not be sent: the mail server answered {answer}"
    assert blobs() == EVERYTHING


def test_a_picture_without_its_mail_that_is_delivered_again_fails_with_the_reason(stored, smtp):
    smtp.answer = "550 no such user"
    image_id = stored()
    run(image_id)
    with pytest.raises(pictures.PictureError, match=r"could not be sent: .* 550 no such user"):
        media.process_image.apply(args=(image_id,), throw=True)


@pytest.mark.parametrize(
    ("task", "args"),
    [("process_image", ()), ("compress", ()), ("metadata", ()), *(("thumbnail", (size,)) for size in SIZES)],
)
def test_a_step_that_runs_again_changes_nothing(stored, row, blobs, smtp, states, task, args):
    image_id = stored()
    run(image_id)
    before, variants = row(image_id), {v.id: (v.kind, v.bytes) for v in row(image_id).variants}
    data = {kind: bytes_of(image_id, kind) for kind in EVERYTHING}
    states.clear()

    getattr(media, task).apply(args=(image_id, *args), throw=True)

    after = row(image_id)
    assert {v.id: (v.kind, v.bytes) for v in after.variants} == variants
    assert {kind: bytes_of(image_id, kind) for kind in EVERYTHING} == data
    assert (after.state, after.details, after.notified_at) == (READY, before.details, before.notified_at)
    assert blobs() == EVERYTHING
    assert len(smtp.messages) == 1
    assert states == []


def test_a_step_that_runs_twice_in_the_middle_counts_once(stored, states, smtp):
    image_id = stored()
    for _ in range(2):
        media.compress.apply(args=(image_id,), throw=True)
    media.metadata.apply(args=(image_id,), throw=True)
    assert [meta["done"] for _, meta in states] == [1, 1, 2]


def test_a_late_step_does_not_wake_a_failed_picture(stored, row, states):
    image_id = stored(state=FAILED, error="cut off")
    media.compress.apply(args=(image_id,), throw=True)
    assert (row(image_id).state, row(image_id).error) == (FAILED, "cut off")
    assert states == []


def test_a_failed_picture_delivered_again_fails_with_its_reason(stored):
    image_id = stored(state=FAILED, error="cut off")
    with pytest.raises(pictures.PictureError, match="cut off"):
        media.process_image.apply(args=(image_id,), throw=True)


def test_a_picture_that_was_never_kept_is_named(database):
    image_id = str(uuid4())
    meta = run(image_id)
    assert meta["status"] == "FAILURE" and image_id in str(meta["result"])


def test_every_step_reports_its_failure():
    """A worker that is killed runs no code of ours: the error callback on each step is all that is left."""
    chord = media._pipeline("an-id")
    steps = [*chord.tasks, chord.body]
    assert [step.options["link_error"][0]["task"] for step in steps] == ["app.tasks.media.image_failed"] * 6


def test_the_error_callback_is_called_with_the_error():
    """Celery looks at the number of its arguments to decide."""
    callback = media.image_failed.s("an-id")
    assert app.backend._errback_arity_greater(callback, 1)
