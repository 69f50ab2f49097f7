"""What the mail stand-in remembers: the newest mails, decoded, within a fixed amount of memory."""

import email.policy
import email.utils
from collections import deque
from dataclasses import dataclass
from email.message import EmailMessage

MAX_MAILS = 500
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_TEXT_BYTES = 24 * 1024 * 1024  # of all mails together; the process has 128 MB in the stack


@dataclass(frozen=True)
class Mail:
    """One mail. `sender` and `to` are the envelope's, `date` is the header's or else the time of arrival."""

    id: int
    sender: str
    to: tuple[str, ...]
    subject: str
    date: str
    text: str

    @property
    def size(self) -> int:
        return len(self.text.encode()) + len(self.subject.encode())

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id, "from": self.sender, "to": list(self.to),
            "subject": self.subject, "date": self.date, "text": self.text,
        }  # fmt: skip


class Mailbox:
    """The newest mails: at most `max_mails`, and at most `max_bytes` of text. The oldest goes first."""

    def __init__(self, max_mails: int = MAX_MAILS, max_bytes: int = MAX_TEXT_BYTES) -> None:
        self.max_mails = max_mails
        self.max_bytes = max_bytes
        self._mails: deque[Mail] = deque()
        self._bytes = 0
        self._last_id = 0
        self._tried: deque[str] = deque(maxlen=MAX_MAILS)

    def add(self, sender: str, to: list[str], raw: bytes) -> Mail:
        """Keeps a mail as it came over the wire. Nothing in it can make this fail."""
        self._last_id += 1
        mail = _decode(self._last_id, sender, tuple(to), raw)
        self._mails.append(mail)
        self._bytes += mail.size
        while len(self._mails) > self.max_mails or self._bytes > self.max_bytes:
            self._bytes -= self._mails.popleft().size
        return mail

    def newest_first(self, to: str = "") -> list[Mail]:
        """The mails, or only those to the address `to`, whatever its case."""
        wanted = to.strip().lower()
        return [m for m in reversed(self._mails) if not wanted or wanted in (t.lower() for t in m.to)]

    def get(self, number: int) -> Mail | None:
        return next((m for m in self._mails if m.id == number), None)

    def clear(self) -> int:
        """Forgets every mail and every recipient's first try; returns how many mails there were."""
        count = len(self._mails)
        self._mails.clear()
        self._tried.clear()
        self._bytes = 0
        return count

    def is_first_try(self, recipient: str) -> bool:
        """True once for each recipient."""
        address = recipient.lower()
        if address in self._tried:
            return False
        self._tried.append(address)
        return True


def _decode(number: int, sender: str, to: tuple[str, ...], raw: bytes) -> Mail:
    message = email.message_from_bytes(raw, EmailMessage, policy=email.policy.default)
    return Mail(
        id=number,
        sender=_encodable(sender),
        to=tuple(_encodable(address) for address in to),
        subject=_header(message, "subject"),
        date=_header(message, "date") or email.utils.format_datetime(email.utils.localtime()),
        text=_text(message),
    )


def _header(message: EmailMessage, name: str) -> str:
    """A header's text, as one line; the parser of the standard library stumbles over some broken ones."""
    try:
        return _encodable(" ".join(str(message.get(name, "")).split()))
    except (ValueError, LookupError, IndexError, AttributeError, TypeError):
        return "(unreadable)"


def _text(message: EmailMessage) -> str:
    """The part that a person reads: plain text, else HTML as it stands."""
    try:
        part = message.get_body(("plain", "html"))
        content = part.get_content() if part is not None else ""
    except (ValueError, LookupError, AttributeError, TypeError):  # an unknown charset, a broken structure
        content = message.as_bytes().decode("utf-8", "replace")
    return _encodable(str(content).replace("\r\n", "\n"))


def _encodable(text: str) -> str:
    """Bytes that are no text in the mail's charset become surrogates, which no answer could carry."""
    return text.encode("utf-8", "replace").decode()
