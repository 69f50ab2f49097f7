from __future__ import annotations

from uuid import UUID

import pytest

from app.mail import MailRefusedError, MailUnavailableError
from app.models import Image, User, now
from app.tasks.email import notify


def run(image_id):
    return notify.apply(args=(image_id,)).get()


def test_the_owner_of_the_picture_is_told(stored, row, smtp, database):
    user = User(email="ada@example.org", name="Ada")
    with database.transaction() as session:
        session.add(user)
    image_id = stored(user_id=user.id)
    assert run(image_id)["notified"] == "ada@example.org"
    assert smtp.messages[0].to == ["ada@example.org"]
    assert row(image_id).state == "ready" and row(image_id).notified_at is not None


def test_it_is_told_once(stored, smtp):
    image_id = stored()
    assert run(image_id) == run(image_id)
    assert len(smtp.messages) == 1


def test_a_copy_has_the_same_message_id(stored, smtp, database):
    """As when its process was killed between the mail and its record."""
    image_id = stored(validated_at=now())
    run(image_id)
    with database.transaction() as session:
        session.get(Image, UUID(image_id)).notified_at = None
    run(image_id)
    first, second = (next(line for line in m.text.splitlines() if "Message-ID" in line) for m in smtp.messages)
    assert first == second == f"Message-ID: <image-{image_id}@localhost>"


def test_a_busy_server_is_tried_again(stored, row, smtp):
    smtp.answers = ["450 busy", "451 busy", "421 busy"]
    image_id = stored()
    run(image_id)
    assert len(smtp.messages) == 1 and row(image_id).state == "ready"


def test_a_server_that_stays_busy_is_given_up(stored, smtp):
    smtp.answers = [f"450 busy {n}" for n in range(20)]
    with pytest.raises(MailUnavailableError, match="busy 8"):
        run(stored())
    assert len(smtp.answers) == 20 - 9


def test_a_refusal_is_not_tried_again(stored, smtp):
    smtp.answers = ["550 no such user"] * 3
    with pytest.raises(MailRefusedError):
        run(stored())
    assert len(smtp.answers) == 2


def test_a_mail_that_goes_out_after_all_takes_the_reason_away(stored, row, smtp):
    image_id = stored(state="ready", error="the mail about the picture could not be sent: 550")
    run(image_id)
    assert (row(image_id).state, row(image_id).error, len(smtp.messages)) == ("ready", None, 1)


def test_a_picture_that_failed_stays_failed(stored, row, smtp):
    image_id = stored(state="failed", error="cut off")
    run(image_id)
    assert (row(image_id).state, row(image_id).error) == ("failed", "cut off")


def test_it_waits_longer_from_try_to_try():
    assert (notify.retry_backoff, notify.retry_backoff_max, notify.retry_jitter) == (2, 300, True)
