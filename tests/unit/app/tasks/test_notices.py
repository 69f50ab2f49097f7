from __future__ import annotations

from uuid import UUID

import pytest

from app.db import transaction
from app.models import FactCheck
from app.tasks import notices


def subject(message):
    return next(line.removeprefix("Subject: ") for line in message.text.splitlines() if line.startswith("Subject: "))


def test_a_new_user_is_greeted(author, smtp):
    assert notices.welcome(str(author.id)) == "ada@example.org"
    assert smtp.messages[0].to == ["ada@example.org"] and "Hello Ada Lovelace" in smtp.messages[0].text


def test_the_author_hears_of_publication_and_verdict(posted, smtp):
    post_id = posted()
    with transaction() as session:
        session.add(FactCheck(post_id=UUID(post_id), verdict="true", confidence=1, reason="So it is."))
    notices.announce_post(post_id)
    notices.tell_verdict(post_id)
    assert [subject(mail) for mail in smtp.messages] == ["Your post is published", "Your post was checked: true"]
    assert all(f"/posts/{post_id}" in mail.text for mail in smtp.messages) and "So it is." in smtp.messages[1].text


@pytest.mark.parametrize(
    ("likes", "new", "told"),
    [
        (1, 1, True),
        (2, 1, False),
        (9, 8, False),
        (10, 1, True),
        (11, 1, False),
        (12, 5, True),
        (230, 229, True),
        (3, 3, True),
    ],
)
def test_the_author_hears_of_every_power_of_ten(posted, smtp, likes, new, told):
    assert (notices.congratulate(posted(), likes, new) is not None) is told
    assert len(smtp.messages) == told


def test_a_copy_has_the_same_message_id(author, smtp):
    """As when the process was killed between the mail and its acknowledgement."""
    notices.welcome(str(author.id))
    notices.welcome(str(author.id))
    first, second = (next(line for line in mail.text.splitlines() if "Message-ID" in line) for mail in smtp.messages)
    assert first == second == f"Message-ID: <welcome-{author.id}@localhost>"
