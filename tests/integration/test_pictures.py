"""A picture's way through the workers, on both brokers."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.integration.processes import PHOTO


@pytest.fixture(scope="module")
def story(service):
    """One upload of the real photo, followed to its end."""
    service.mail.delete("/api/messages").raise_for_status()
    accepted = service.upload(PHOTO)
    seen = service.follow(accepted["task_id"])
    picture = service.api.get(accepted["image"]).raise_for_status().json()
    return accepted, seen, picture


def test_the_task_ends_well_under_the_id_that_the_client_was_given(story):
    accepted, seen, _ = story

    assert seen[-1]["state"] == "SUCCESS"
    assert seen[-1]["result"]["image"] == accepted["image"]
    assert seen[-1]["error"] is None


def test_progress_rises_and_never_falls(story):
    _, seen, _ = story
    percents = [answer["progress"]["percent"] for answer in seen if answer["state"] == "PROGRESS"]

    assert percents and percents == sorted(percents)


def test_thumbnails_have_the_right_sizes(service, story):
    _accepted, _, picture = story
    width, height = picture["original"]["width"], picture["original"]["height"]

    assert [thumbnail["size"] for thumbnail in picture["thumbnails"]] == [64, 256, 1024]
    for thumbnail in picture["thumbnails"]:
        image = open_image(service, thumbnail["url"])
        assert max(image.size) == min(thumbnail["size"], max(width, height))
        assert image.width / image.height == pytest.approx(width / height, rel=0.05)
        assert image.size == (thumbnail["width"], thumbnail["height"])


def test_nothing_derived_tells_where_the_photo_was_taken(service, story):
    _, _, picture = story
    with Image.open(PHOTO) as sample:
        assert dict(sample.getexif().get_ifd(0x8825)), "the sample has a GPS position to lose"

    urls = [picture["compressed"]["url"], *(thumbnail["url"] for thumbnail in picture["thumbnails"])]
    for url in urls:
        image = open_image(service, url)
        assert not image.getexif() and "exif" not in image.info
    assert "gps" not in str(picture).lower()


def test_its_owner_gets_one_mail(service):
    service.mail.delete("/api/messages").raise_for_status()
    email = f"{service.environment['BROKER']}-owner@example.org"
    owner = service.api.post("/users", json={"email": email, "name": "Owner"})
    user_id = owner.raise_for_status().json()["id"]

    accepted = service.upload(PHOTO, user_id=str(user_id))
    service.follow(accepted["task_id"])

    mails = service.mail.get("/api/messages", params={"to": email}).json()
    assert len(mails) == 1
    assert accepted["image"] in mails[0]["text"]


def test_a_truncated_picture_fails_with_a_reason_and_keeps_no_bytes(service):
    accepted = service.upload(PHOTO.read_bytes()[:60_000])
    seen = service.follow(accepted["task_id"])
    picture = service.api.get(accepted["image"]).json()

    assert seen[-1]["state"] == "FAILURE"
    assert "truncated" in seen[-1]["error"] and "Traceback" not in seen[-1]["error"]
    assert picture["state"] == "failed" and "truncated" in picture["error"]
    assert picture["thumbnails"] == []


def test_a_mail_server_that_is_busy_delays_and_one_that_refuses_fails(service):
    def send_to(email):
        user = service.api.post("/users", json={"email": email, "name": "Someone"}).raise_for_status().json()
        return service.upload(PHOTO, user_id=str(user["id"]))

    later = send_to(f"later@{service.environment['BROKER']}.example")
    never = send_to(f"bounce@{service.environment['BROKER']}.example")

    assert service.follow(never["task_id"])[-1]["state"] == "FAILURE"
    assert "550" in service.task(never["task_id"])["error"]
    assert service.follow(later["task_id"])[-1]["state"] == "SUCCESS"


def open_image(service, url):
    answer = service.api.get(url).raise_for_status()
    assert answer.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image
