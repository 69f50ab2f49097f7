import signal
import smtplib
import socket
from email.message import EmailMessage

import httpx
import pytest


def letter(to: str = "ann@example.com", subject: str = "Your picture", text: str = "It is ready.") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "app@example.com", to, subject
    message["Date"] = "Sat, 21 Nov 2026 10:00:00 +0000"
    message.set_content(text)
    return message


def send(mail, *messages: EmailMessage) -> None:
    host, port = mail.addresses[0].split(":")
    with smtplib.SMTP(host, int(port), timeout=5) as smtp:
        for message in messages:
            smtp.send_message(message)


def api(mail, path: str = "/api/messages", method: str = "GET") -> httpx.Response:
    return httpx.request(method, f"http://{mail.addresses[1]}{path}", trust_env=False)


def test_a_mail_is_read_back_by_api_and_page(mail):
    send(mail, letter(subject="Größe geändert ✓"))

    (kept,) = api(mail).json()
    assert kept == {
        "id": 1,
        "from": "app@example.com",
        "to": ["ann@example.com"],
        "subject": "Größe geändert ✓",
        "date": "Sat, 21 Nov 2026 10:00:00 +0000",
        "text": "It is ready.\n",
    }
    assert api(mail, "/api/messages/1").json() == kept
    assert "Größe geändert ✓" in api(mail, "/").text
    assert "It is ready." in api(mail, "/messages/1").text


def test_newest_first_filtered_by_recipient_and_forgotten(mail):
    send(
        mail,
        letter("ann@example.com", "one"),
        letter("bob@example.com", "two"),
        letter("ann@example.com", "three"),
    )

    assert [m["subject"] for m in api(mail).json()] == ["three", "two", "one"]
    assert [m["subject"] for m in api(mail, "/api/messages?to=ANN@example.com").json()] == ["three", "one"]
    assert api(mail, method="DELETE").json() == {"deleted": 3}
    assert api(mail).json() == []


def test_pages_escape_what_a_stranger_wrote(mail):
    send(mail, letter(subject="<script>alert(1)</script>", text="<img src=x onerror=alert(1)>"))

    for path in ("/", "/messages/1"):
        page = api(mail, path)
        assert "<script" not in page.text and "<img" not in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_bounce_is_refused_for_good_and_later_only_once(mail):
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(mail, letter("bounce+7@example.com"))
        assert refused.value.recipients["bounce+7@example.com"][0] == 550

    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(mail, letter("later@example.com"))
    assert refused.value.recipients["later@example.com"][0] == 451
    send(mail, letter("later@example.com"))
    assert len(api(mail).json()) == 1


def test_a_mail_above_the_size_limit_is_refused(mail):
    with pytest.raises(smtplib.SMTPException) as refused:
        send(mail, letter(text="line\n" * 300_000))
    assert "552" in str(refused.value)
    assert api(mail).json() == []


@pytest.mark.parametrize("path", ["/api/messages/7", "/messages/7", "/nowhere", "/api/messages/x"])
def test_an_unknown_mail_or_path_is_a_clear_404(mail, path):
    answer = api(mail, path)
    assert answer.status_code == 404
    assert path in answer.json()["error"] and answer.json()["remedy"]


def test_healthz(mail):
    assert api(mail, "/healthz").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_even_with_an_open_connection(mail, number):
    host, port = mail.addresses[0].split(":")
    with smtplib.SMTP(host, int(port), timeout=5):
        assert mail.stop(number) == 0


@pytest.mark.parametrize("value", ["abc", "-1", "65536", "1e3"])
def test_a_bad_port_is_named(start, value):
    standin = start("app.standins.mail", MAIL_HOST="127.0.0.1", MAIL_SMTP_PORT=value)
    _, err = standin.process.communicate(timeout=60)
    assert standin.process.returncode == 2
    assert err.startswith(f"MAIL_SMTP_PORT = '{value}' is not a port.") and "Traceback" not in err


def test_a_port_in_use_is_named(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        standin = start("app.standins.mail", MAIL_HOST="127.0.0.1", MAIL_SMTP_PORT="0", MAIL_HTTP_PORT=str(port))
        _, err = standin.process.communicate(timeout=60)
    assert standin.process.returncode == 2
    assert err.startswith(f"MAIL_HTTP_PORT = {port}: cannot listen") and "Traceback" not in err


def test_a_webhook_is_kept_by_its_name_and_only_json_is_one(mail):
    url = f"http://{mail.addresses[1]}"

    def call(name, **body):
        return httpx.post(f"{url}/hooks/{name}", trust_env=False, **body).status_code

    assert call("alerts", json={"status": "firing"}) == call("alerts", json={"status": "resolved"}) == 202
    assert call("alerts", content=b"no json") == 400
    assert call("alerts", content=b'"' + b"x" * (1 << 20) + b'"') == 413
    assert api(mail, "/api/hooks/alerts").json() == [{"status": "firing"}, {"status": "resolved"}]
    assert api(mail, "/api/hooks/others").json() == []
    assert {call(f"name-{n}", json={}) for n in range(19)} == {202} and call("one-more", json={}) == 413
