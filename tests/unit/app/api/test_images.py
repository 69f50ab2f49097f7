from __future__ import annotations

import hashlib
import io
from uuid import uuid4

import pytest
from PIL import Image as Pillow
from sqlalchemy import event

from app import db, submit
from app.api import images
from app.models import Image


def upload(client, data, **fields):
    return client.post("/images", files={"file": ("photo.jpg", data)}, data=fields)


@pytest.fixture
def nothing_kept(database, blobs):
    yield
    with database.transaction() as session:
        assert session.query(Image).count() == 0
    assert blobs() == set()


def test_a_picture_is_accepted_processed_and_served(client, smtp, picture, exif):
    data = picture(size=(1500, 1000), exif=exif)
    answer = upload(client, data)
    assert answer.status_code == 202
    accepted = answer.json()
    assert (
        accepted["image"] == f"/images/{accepted['image_id']}" and accepted["task"] == f"/tasks/{accepted['task_id']}"
    )

    task = client.get(accepted["task"]).json()
    assert (task["state"], task["error"], task["result"]["image"]) == ("SUCCESS", None, accepted["image"])

    image = client.get(accepted["image"]).json()
    assert (image["state"], image["error"]) == ("ready", None)
    sha256 = hashlib.sha256(data).hexdigest()
    facts = {"width": 1500, "height": 1000, "format": "JPEG", "bytes": len(data), "sha256": sha256}
    assert image["original"] == facts
    assert image["metadata"]["camera"] == "Example One" and "gps" not in str(image["metadata"]).lower()
    assert [thumbnail["size"] for thumbnail in image["thumbnails"]] == [64, 256, 1024]
    for derived in (image["compressed"], *image["thumbnails"]):
        served = client.get(derived["url"])
        assert served.headers["content-type"] == "image/jpeg" and len(served.content) == derived["bytes"]
        picture = Pillow.open(io.BytesIO(served.content))
        assert picture.size == (derived["width"], derived["height"]) and not picture.getexif()
        assert max(picture.size) == min(derived.get("size", 2048), 1500)


def test_a_picture_belongs_to_its_user_who_gets_the_mail(client, smtp, picture):
    user = client.post("/users", json={"email": "ada@example.org", "name": "Ada"}).json()["id"]
    accepted = upload(client, picture(), user_id=user).json()
    assert client.get(accepted["image"]).json()["user_id"] == user
    assert smtp.messages[0].to == ["ada@example.org"]


def test_a_picture_that_waits_says_so(client, queued, picture):
    accepted = upload(client, picture()).json()
    assert client.get(accepted["task"]).json()["state"] == "PENDING"
    image = client.get(accepted["image"]).json()
    assert (image["state"], image["compressed"], image["thumbnails"], image["metadata"]) == (
        "processing",
        None,
        [],
        None,
    )
    for path in ("compressed", "thumbnails/64"):
        missing = client.get(f"{accepted['image']}/{path}")
        assert missing.status_code == 404 and "yet" in missing.json()["error"]


def test_a_picture_that_is_cut_off_fails_with_a_reason(client, smtp, picture):
    data = picture()
    accepted = upload(client, data[: len(data) // 2]).json()
    task, image = client.get(accepted["task"]).json(), client.get(accepted["image"]).json()
    assert (task["state"], image["state"]) == ("FAILURE", "failed")
    assert "cut off" in task["error"] and task["error"] == image["error"]


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("data", [b"", b"hello", b"%PDF-1.4 ...", b"\x7fELF" * 100])
def test_what_is_no_picture_is_refused(client, data):
    answer = upload(client, data)
    assert answer.status_code == 415
    assert "JPEG, PNG, WEBP" in answer.json()["error"]


@pytest.mark.usefixtures("nothing_kept")
def test_a_bomb_is_refused(client):
    out = io.BytesIO()
    Pillow.new("1", (20_000, 20_000)).save(out, "PNG")
    answer = upload(client, out.getvalue())
    assert answer.status_code == 413
    assert "20000 x 20000" in answer.json()["error"]


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("megabytes", [21, 30])
def test_a_large_file_is_refused_while_it_arrives(client, megabytes):
    answer = upload(client, b"\0" * (megabytes * 1_000_000))
    assert answer.status_code == 413
    assert "20971520" in answer.json()["error"]


@pytest.mark.usefixtures("nothing_kept")
def test_a_large_body_without_an_announced_length_is_refused(client):
    def parts():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(30):
            yield b"\0" * 1_000_000

    answer = client.post("/images", content=parts(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413


@pytest.mark.usefixtures("nothing_kept")
def test_the_limit_is_on_the_file(client, reconfigure, picture):
    data = picture()
    reconfigure(MAX_UPLOAD_BYTES=len(data) - 1)
    answer = upload(client, data)
    assert answer.status_code == 413
    assert f"{len(data)} bytes, more than the {len(data) - 1}" in answer.json()["error"]


def test_an_upload_leaves_neither_a_file_nor_a_connection_behind(client, queued, picture, monkeypatch):
    """In a container both are memory: a file of 20 MB, and a buffer of 32 MB that libpq keeps."""
    read, seen = images._read, []

    def noted(file):
        data = read(file)
        seen.append(file.file.closed)
        return data

    monkeypatch.setattr(images, "_read", noted)
    event.listen(db.engine(), "close_detached", lambda _: seen.append("closed"))
    assert upload(client, picture() + bytes(2_000_000)).status_code == 202
    assert seen == [True, "closed"]


@pytest.mark.usefixtures("nothing_kept")
def test_what_is_missing_or_wrong_in_the_form_is_named(client, picture):
    assert "file is missing" in client.post("/images").json()["error"]
    assert "not a file" in client.post("/images", data={"file": "text"}).json()["error"]
    answer = upload(client, picture(), user_id="7")
    assert answer.status_code == 422 and "user_id = '7'" in answer.json()["error"]
    user = uuid4()
    answer = upload(client, picture(), user_id=str(user))
    assert answer.status_code == 404 and str(user) in answer.json()["error"]


@pytest.mark.usefixtures("nothing_kept")
def test_a_picture_that_cannot_be_queued_is_not_kept(client, picture, monkeypatch):
    def away(*_):
        raise submit.BrokerAwayError("connection refused")

    monkeypatch.setattr(submit, "process_image", away)
    answer = upload(client, picture())
    assert answer.status_code == 503
    assert "not kept" in answer.json()["error"]


def test_a_size_that_there_is_not(client, picture, smtp):
    accepted = upload(client, picture()).json()
    answer = client.get(f"{accepted['image']}/thumbnails/65")
    assert answer.status_code == 422 and "'64', '256' or '1024'" in answer.json()["error"]
