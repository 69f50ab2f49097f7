import json
import random

from app.standins.mailbox import Mailbox


def test_the_oldest_mail_goes_when_there_are_too_many():
    box = Mailbox(max_mails=3)
    for _ in range(5):
        box.add("a@b", ["c@d"], b"Subject: x\r\n\r\ntext\r\n")
    assert [mail.id for mail in box.newest_first()] == [5, 4, 3]


def test_the_oldest_mail_goes_when_they_are_too_long_together():
    box = Mailbox(max_bytes=2500)
    for _ in range(4):
        box.add("a@b", ["c@d"], b"Subject: x\r\n\r\n" + b"y" * 1000)
    assert [mail.id for mail in box.newest_first()] == [4, 3]
    box.clear()
    box.add("a@b", ["c@d"], b"Subject: x\r\n\r\n" + b"y" * 2000)
    assert len(box.newest_first()) == 1


def test_plain_text_is_preferred_to_html():
    raw = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n"
    )
    assert Mailbox().add("a@b", ["c@d"], raw).text.strip() == "plain"


def test_a_mail_without_a_date_gets_its_time_of_arrival():
    assert "20" in Mailbox().add("a@b", ["c@d"], b"Subject: x\r\n\r\n").date


def test_broken_mails_are_kept_and_can_be_answered_as_json():
    dice = random.Random(7)  # noqa: S311  repeatable noise
    box = Mailbox()
    samples = [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?nonsense?q?=E4?=\r\n\r\n\xe4\xf6",
        b"Subject: =?utf-8?q?=ED=A0=80?=\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xe4",
        b"Date: tomorrow\r\nContent-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: text/plain; charset*=x''\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
    ]
    samples += [bytes(dice.choices(b"Subject: \r\n\xff=?;@<>\x00Content-Type/", k=200)) for _ in range(500)]
    for raw in samples:
        json.dumps(box.add("a@b\udcff", ["c@d\udcff"], raw).as_json(), ensure_ascii=False).encode()
