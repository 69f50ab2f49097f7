"""E-mail by real SMTP: what a busy server puts off is tried again, what a server refuses is final."""

from __future__ import annotations

import io
from uuid import uuid4

from PIL import Image


def test_row_14_a_mail_server_that_is_busy_delays_and_one_that_refuses_fails(service, user, mails, eventually):
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "JPEG")

    def send_to(name):
        someone = user(f"{name}+{uuid4().hex}@example.org")
        return someone["email"], service.upload(picture.getvalue(), user_id=someone["id"])

    (_, never), (address, later) = send_to("bounce"), send_to("later")

    assert service.follow(never["task_id"])[-1]["state"] == "FAILURE"
    assert "550" in service.task(never["task_id"])["error"]
    assert service.follow(later["task_id"])[-1]["state"] == "SUCCESS"
    eventually(lambda: mails(address, "Welcome"), "the other mail: the first of the two was put off")
    assert [mail["subject"] for mail in mails(address, "picture")] == ["Your picture is ready"]
    lines = service.log("worker-email").splitlines()
    attempts = [line for line in lines if f"task_id={never['task_id']} " in line]
    assert attempts and all("attempt=1 " in line for line in attempts), "a refusal is not tried again"
