"""Mails by real SMTP: what the server puts off is tried again, what it refuses is not. See `app/standins/mail.py`."""

from typing import Any

from app.smoke.client import SmokeError
from app.smoke.visit import Upload, Visit


def tried_again(visit: Visit) -> str:
    later = visit.new_user("later")
    visit.post("/posts", 201, {"user_id": later["id"], "body": "Its mail is put off once."})
    mail = visit.stack.wait(f"the mail to {later['email']}", lambda: to(visit, later["email"]))
    return f"the server said 451 first, then took {mail['subject']!r}"


def refused(visit: Visit) -> str:
    picture = visit.picture
    mail = visit.stack.wait("the mail about the picture", lambda: to(visit, visit.user["email"], picture.id))
    bounced = Upload(visit.stack, visit.photo, visit.new_user("bounce")["id"]).image
    if bounced["state"] != "ready" or "550" not in str(bounced["error"]):
        raise SmokeError(f"a refused mail left {bounced['state']!r} ({bounced['error']}), expected ready and the 550.")
    return f"{mail['subject']!r} delivered; one refused for good: {bounced['error']}"


def to(visit: Visit, address: str, names: str = "") -> dict[str, Any] | None:
    """The newest mail to an address whose text has `names`, or None."""
    answer = visit.stack.ask("GET", f"{visit.stack.mail}/api/messages", params={"to": address})
    return next((mail for mail in answer.json() if names in mail["text"]), None)
