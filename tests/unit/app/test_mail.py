from __future__ import annotations

import pytest

from app import mail


def send(**changed):
    message = {"to": "ada@example.org", "subject": "Ready", "text": "Yes.\n", "message_id": "<image-1@example.org>"}
    mail.send(**{**message, **changed})


def test_a_message_arrives_with_its_headers(smtp, reconfigure):
    reconfigure(MAIL_FROM="app@example.org")
    send(text="Grüße ❤\n")
    (message,) = smtp.messages
    assert (message.sender, message.to) == ("app@example.org", ["ada@example.org"])
    for header in (
        "From: app@example.org",
        "To: ada@example.org",
        "Subject: Ready",
        "Message-ID: <image-1@example.org>",
    ):
        assert header in message.text
    assert "Date: " in message.text


@pytest.mark.parametrize("answer", ["450 mailbox busy", "421 shutting down", "452 disk full"])
def test_a_busy_server_may_be_asked_again(smtp, answer):
    smtp.answer = answer
    with pytest.raises(mail.MailUnavailableError, match=answer):
        send()


@pytest.mark.parametrize("answer", ["550 no such user", "554 rejected as spam"])
def test_a_refusal_is_final(smtp, answer):
    smtp.answer = answer
    with pytest.raises(mail.MailRefusedError, match=answer):
        send()


@pytest.mark.parametrize(("answer", "kind"), [("550 no", mail.MailRefusedError), ("450 no", mail.MailUnavailableError)])
def test_a_recipient_may_be_refused_before_the_message(smtp, answer, kind):
    smtp.recipient_answer = answer
    with pytest.raises(kind, match=answer):
        send()


ENCODED = "=?utf-8?q?victim=40evil.org?=@b.c"


def test_a_message_goes_to_the_address_itself_not_to_what_it_decodes_to(smtp, monkeypatch):
    told, rcpt = [], mail.smtplib.SMTP.rcpt

    def noted(server, recipient, options=()):
        told.append(recipient)
        return rcpt(server, recipient, options)

    monkeypatch.setattr(mail.smtplib.SMTP, "rcpt", noted)  # the server of these tests decodes it by itself
    send(to=ENCODED)
    assert told == [ENCODED]


def test_a_refused_recipient_need_not_be_spelt_as_it_was_given(smtp):
    smtp.recipient_answer = "550 no such user"
    with pytest.raises(mail.MailRefusedError, match="550 no such user"):
        send(to=ENCODED)


def test_a_server_that_is_away_is_named(reconfigure):
    reconfigure(SMTP_HOST="127.0.0.1", SMTP_PORT=1)
    with pytest.raises(mail.MailUnavailableError, match=r"127\.0\.0\.1:1 does not answer: .*refused"):
        send()
