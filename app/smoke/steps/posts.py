"""Posts: when they are published, and who hears of it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from app.smoke.client import SmokeError, expect, field
from app.smoke.steps.mails import to
from app.smoke.visit import Visit

LATER = 2  # seconds until a post is due
LIKES = 5


def at_its_time(visit: Visit) -> str:
    due = datetime.now(UTC) + timedelta(seconds=LATER)
    kept, called_off = (_write(visit, "Published later.", publish_at=due.isoformat()) for _ in range(2))
    expect(visit.stack.ask("DELETE", f"/posts/{called_off['id']}"), 204)
    seen = visit.stack.wait("the post that is due", lambda: _published(visit, kept["id"]))
    late = (datetime.fromisoformat(seen["published_at"]) - due).total_seconds()
    if late < -0.1:
        raise SmokeError(f"the post due at {due} was published at {seen['published_at']}, before its time.")
    expect(visit.stack.ask("GET", f"/posts/{called_off['id']}"), 404)
    return f"published {late:.1f} s after its time; one that was called off never was"


def heard_by_all(visit: Visit) -> str:
    author, word = visit.new_user("author"), f"w{uuid4().hex[:12]}"
    post = _write(visit, f"The Earth is round. {word}", user_id=author["id"])
    began = time.monotonic()
    visit.stack.wait("the mail to its author", lambda: to(visit, author["email"]))
    visit.stack.wait("its place in the index", lambda: _found(visit, word))
    visit.stack.wait("its fact check", lambda: visit.stack.read(f"/posts/{post['id']}")["fact_check"])
    return f"one event: author told, post indexed and checked within {time.monotonic() - began:.1f} s"


def fact_check(visit: Visit) -> str:
    post = _write(visit, "The Earth is round.")
    check = visit.stack.wait("the verdict", lambda: visit.stack.read(f"/posts/{post['id']}")["fact_check"])
    return f"{field(check, 'verdict')}: {field(check, 'reason')}"


def likes(visit: Visit) -> str:
    post = _write(visit, "Worth some likes.")
    for _ in range(LIKES):
        visit.post(f"/posts/{post['id']}/likes", 202)
    counted = field(visit.stack.read(f"/posts/{post['id']}"), "likes")
    if counted != LIKES:
        raise SmokeError(f"{counted} of {LIKES} likes are counted.")
    return f"{counted} of {LIKES} counted at once, whether flushed or not"


def search(visit: Visit) -> str:
    word = f"w{uuid4().hex[:12]}"
    _write(visit, f"Several engines weaving patterns, {word}.")
    found = visit.stack.wait("the post in the index", lambda: _found(visit, f"engine weave {word}"))
    return f"{len(found)} post found by the stems of its words"


def _write(visit: Visit, body: str, **more: object) -> dict[str, Any]:
    post: dict[str, Any] = visit.post("/posts", 201, {"user_id": visit.user["id"], "body": body} | more)
    return post


def _published(visit: Visit, post_id: str) -> dict[str, Any] | None:
    post: dict[str, Any] = visit.stack.read(f"/posts/{post_id}")
    return post if post["published_at"] else None


def _found(visit: Visit, words: str) -> list[Any]:
    posts: list[Any] = visit.stack.ask("GET", "/search", params={"q": words}).json().get("posts", [])
    return posts
