from __future__ import annotations

import secrets
from itertools import pairwise

import pytest

from app.smoke.pictures import check_image
from tests.stack.pictures import PHOTO, picture
from tests.stack.stack import wait_for

PICTURES = {
    "photo": PHOTO,
    "wide": picture(3000, 200, "JPEG"),
    "transparent": picture(700, 900, "PNG", "RGBA"),
    "grey": picture(300, 300, "JPEG", "L"),
    "modern": picture(1500, 1100, "WEBP"),
    "tiny": picture(40, 30, "GIF"),
}


@pytest.fixture
def user(stack):
    """Somebody who uploads pictures."""
    email = f"ann-{secrets.token_hex(4)}@example.com"
    answer = stack.api.post("/users", json={"email": email, "name": "Ann"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_pictures_go_through_and_their_owner_is_told(stack, user):
    accepted = {name: stack.upload(data, name, user["id"]) for name, data in PICTURES.items()}
    assert {name: answer.status_code for name, answer in accepted.items()} == dict.fromkeys(PICTURES, 202)

    for name, answer in accepted.items():
        states = [status["state"] for status in stack.follow(answer.json()["task"])]
        assert states[-1] == "SUCCESS", name
        image = stack.api.get(answer.json()["image"]).json()
        check_image(image, PICTURES[name], lambda url: stack.api.get(url).raise_for_status().content)

    def about_pictures():
        return [mail for mail in stack.mails(user["email"]) if "picture" in mail["subject"]]

    mails = wait_for("a mail for each picture", lambda: len(m := about_pictures()) == len(PICTURES) and m)
    for answer in accepted.values():
        assert sum(answer.json()["image"] in mail["text"] for mail in mails) == 1


def test_progress_is_seen_and_never_steps_back(stack):
    statuses = [status for _ in range(3) for status in stack.follow(stack.upload(PHOTO).json()["task"])]

    seen = [status["progress"]["percent"] for status in statuses if status["state"] == "PROGRESS"]
    assert any(0 < percent < 100 for percent in seen)
    for before, after in pairwise(statuses):
        if before["state"] == after["state"] == "PROGRESS" and before["id"] == after["id"]:
            assert before["progress"]["done"] <= after["progress"]["done"] <= after["progress"]["total"]


def test_prometheus_sees_the_tasks_of_every_queue_and_a_beat_that_ticks(stack):
    def value(query):
        answer = stack.query(query)
        return float(answer[0]["value"][1]) if answer else 0.0

    def media_tasks():
        return value('sum(celery_tasks_ended_total{queue="media", outcome="succeeded"})')

    before = media_tasks()
    stack.follow(stack.upload(PHOTO).json()["task"])

    wait_for("the tasks to be counted", lambda: media_tasks() > before)
    ready = "count(celery_state{job='worker', state='ready'} == 1)"
    wait_for("a scrape of every worker", lambda: value(ready) >= 4)
    assert value("time() - celery_beat_last_tick_timestamp_seconds") < 60


def test_a_picture_of_nobody_is_told_to_everybody(stack):
    accepted = stack.upload(PHOTO).json()
    wait_for("the mail", lambda: any(accepted["image"] in m["text"] for m in stack.mails("everybody@example.com")))


def test_the_place_where_it_was_taken_is_nowhere(stack):
    accepted = stack.upload(PHOTO).json()
    assert stack.follow(accepted["task"])[-1]["state"] == "SUCCESS"
    image = stack.api.get(accepted["image"]).json()
    assert image["metadata"]["camera"] == "Example Camera Model 1"
    assert "gps" not in str(image).lower()
