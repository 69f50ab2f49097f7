"""A pipeline on real pictures: checked, derived side by side, and then its owner is told."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.integration.processes import PHOTO


def test_row_12_thumbnails_have_the_right_sizes(service, story):
    picture = story.picture
    width, height = picture["original"]["width"], picture["original"]["height"]

    assert [thumbnail["size"] for thumbnail in picture["thumbnails"]] == [64, 256, 1024]
    for thumbnail in picture["thumbnails"]:
        image = open_image(service, thumbnail["url"])
        assert max(image.size) == min(thumbnail["size"], max(width, height))
        assert image.width / image.height == pytest.approx(width / height, rel=0.05)
        assert image.size == (thumbnail["width"], thumbnail["height"])


def test_row_12_nothing_derived_tells_where_the_photo_was_taken(service, story):
    picture = story.picture
    with Image.open(PHOTO) as sample:
        assert dict(sample.getexif().get_ifd(0x8825)), "the sample has a GPS position to lose"

    urls = [picture["compressed"]["url"], *(thumbnail["url"] for thumbnail in picture["thumbnails"])]
    for url in urls:
        image = open_image(service, url)
        assert not image.getexif() and "exif" not in image.info
    assert "gps" not in str(picture).lower()


def test_row_12_its_owner_gets_one_mail(service, user, mails):
    ada = user()

    accepted = service.upload(PHOTO, user_id=ada["id"])
    service.follow(accepted["task_id"])

    (mail,) = mails(ada["email"], "picture")
    assert accepted["image"] in mail["text"]


def open_image(service, url):
    answer = service.api.get(url).raise_for_status()
    assert answer.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image
