"""Send one e-mail, and tell a server that is busy from one that says no.

Trying again cures the first (a lost connection, an answer of 400 to 499) and annoys the second.
"""

import smtplib
from email.message import EmailMessage
from email.utils import formatdate

from app.settings import settings

TIMEOUT = 10  # seconds for each answer of the server


class MailUnavailableError(Exception):
    """The server is away or busy: try again later."""


class MailRefusedError(Exception):
    """The server refused the message or the recipient for good."""


def message_id(name: str) -> str:
    """The same Message-ID for the same `name`, in the domain of the sender."""
    return f"<{name}@{settings().mail_from.rpartition('@')[2]}>"


def send(to: str, subject: str, text: str, message_id: str) -> None:
    """Hand a message to SMTP_HOST. A stable `message_id` lets the recipient's server drop a copy sent twice.

    Raises MailUnavailableError, MailRefusedError.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings().mail_from, to, subject
    message["Date"], message["Message-ID"] = formatdate(), message_id
    message.set_content(text)
    try:
        with smtplib.SMTP(settings().smtp_host, settings().smtp_port, timeout=TIMEOUT) as server:
            server.send_message(message, to_addrs=[to])  # taken from the header, it would be decoded first
    except smtplib.SMTPRecipientsRefused as error:
        code, answer = next(iter(error.recipients.values()))
        raise _verdict(code, answer) from error
    except smtplib.SMTPResponseException as error:
        raise _verdict(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise MailRefusedError(f"the mail server cannot take the message: {error}") from error
    except OSError as error:  # smtplib's other errors are of this kind too
        where = f"{settings().smtp_host}:{settings().smtp_port}"
        raise MailUnavailableError(f"the mail server {where} does not answer: {error}") from error


def _verdict(code: int, answer: bytes | str) -> Exception:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    kind = MailRefusedError if code >= 500 else MailUnavailableError
    return kind(f"the mail server answered {code} {text}")
