"""What the load is made of. Rates are a small team's, on purpose: it is to be looked at, not to break a laptop."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx

from app.smoke.client import Stack
from app.smoke.visit import Visit

PHOTO = Path(__file__).parents[1] / "samples" / "photo.jpg"


class Kind(NamedTuple):
    """One request of a kind is sent every `pause` seconds, the first after `first` seconds, for `tasks` tasks."""

    name: str
    pause: float
    send: Callable[[], httpx.Response]
    tasks: int = 1
    first: float = 0


def mix(stack: Stack) -> list[Kind]:
    """Everything that the load sends. Registers a user first; raises SmokeError when that fails."""
    user = Visit(stack, b"").new_user("load")["id"]
    photo = PHOTO.read_bytes()

    def picture(data: bytes) -> httpx.Response:
        return stack.ask("POST", "/images", files={"file": ("photo.jpg", data, "image/jpeg")}, data={"user_id": user})

    def post(orders: str) -> httpx.Response:
        # The words in brackets are orders to the stand-in for the AI service: app/standins/ai.py.
        body = f"The Earth is round, {uuid4().hex[:8]}. {orders}"
        return stack.ask("POST", "/posts", json={"user_id": user, "body": body})

    def fault(name: str, **body: object) -> httpx.Response:
        return stack.ask("POST", f"/faults/{name}", json=body)

    return [
        Kind("pictures", 2, partial(picture, photo)),
        Kind("pictures that break off", 20, partial(picture, photo[: len(photo) // 2])),
        Kind("posts", 0.5, partial(post, "")),
        Kind("posts, AI slow", 5, partial(post, "[[delay=4]]")),
        Kind("posts, AI busy at first", 7, partial(post, "[[status=503]] [[times=1]]")),
        Kind("posts, AI refuses", 30, partial(post, "[[status=401]]")),
        Kind("small tasks", 1, partial(fault, "count", count=20), tasks=20),
        Kind("tasks that wait", 2, partial(fault, "sleep", count=2, seconds=0.5), tasks=2),
        Kind("tasks that fail", 3, partial(fault, "fail", count=2), tasks=2),
        Kind("tasks that kill their process", 60, partial(fault, "crash", count=1)),
        Kind("tasks that take all memory", 120, partial(fault, "hog_memory", count=1, seconds=1), first=60),
    ]
