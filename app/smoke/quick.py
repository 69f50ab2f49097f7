"""One picture through the stack, step by step: what `make up` ends with."""

import re
from collections.abc import Callable
from typing import Any

import httpx

from app.smoke.client import SmokeError, Stack, expect, field, read_json, shown
from app.smoke.pictures import check_image
from app.smoke.visit import ENDED

FAULT_TASKS = 20


def run(stack: Stack, photo: bytes, say: Callable[[str], None]) -> None:
    """All steps, one line each. Raises SmokeError at the first that fails."""
    wait_until_up(stack, say)
    accepted = upload(stack, photo, say)
    image_id = field(accepted, "image_id")
    follow(stack, field(accepted, "task"), say)
    image = stack.read(field(accepted, "image"))
    say(f"variants  {check_image(image, photo, lambda url: fetch(stack, url))}")
    mails = stack.mail + "/api/messages"
    mail = stack.wait("the mail about the picture", lambda: find_mail(stack.read(mails), image_id))
    say(f"mail      to {', '.join(mail['to'])}: {mail['subject']}")
    say(f"ledger    {count_tasks(stack)}")


def wait_until_up(stack: Stack, say: Callable[[str], None]) -> None:
    """Returns when the API answers; says once that it is being waited for."""
    waiting = Once(say)

    def is_up() -> bool:
        try:
            stack.read("/healthz")
        except SmokeError as error:
            waiting(f"waiting   {str(error).splitlines()[0]}")
            return False
        return True

    stack.wait(f"an answer from {stack.api}", is_up)


def upload(stack: Stack, photo: bytes, say: Callable[[str], None]) -> dict[str, Any]:
    """Posts the picture; a 503 means that broker or database are still starting, so it is asked again."""
    waiting = Once(say)

    def is_taken() -> httpx.Response | None:
        answer = stack.ask("POST", "/images", files={"file": ("photo.jpg", photo, "image/jpeg")})
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            waiting(f"waiting   upload: {shown(answer)}")
            return None
        return answer

    accepted: dict[str, Any] = read_json(stack.wait("an accepted upload", is_taken), 202)
    say(f"upload    {len(photo) // 1024} KiB accepted: {field(accepted, 'image')}, {field(accepted, 'task')}")
    return accepted


def follow(stack: Stack, task: str, say: Callable[[str], None]) -> None:
    """Prints each state and progress that it sees. Raises SmokeError when the task fails."""
    last = ""

    def look() -> dict[str, Any] | None:
        nonlocal last
        status: dict[str, Any] = stack.read(task)
        if (line := described(status)) != last:
            say(f"task      {line}")
        last = line
        return status if status["state"] in ENDED else None

    status = stack.wait(f"the end of {task}", look)
    if status["state"] != "SUCCESS":
        raise SmokeError(f"the task ended as {status['state']}: {status.get('error')}\n  See `make logs`.")


def described(status: dict[str, Any]) -> str:
    """A task's state and, if it tells, how far it is: `PROGRESS thumbnails 75 %`."""
    state, progress = field(status, "state"), status.get("progress") or {}
    percent = f"{progress['percent']} %" if "percent" in progress else None
    return " ".join(str(v) for v in (state, progress.get("step"), percent) if v)


def fetch(stack: Stack, url: str) -> bytes:
    """The bytes behind a link that the API gave."""
    answer = stack.ask("GET", url)
    expect(answer, 200)
    return answer.content


def find_mail(mails: list[dict[str, Any]], image_id: object) -> dict[str, Any] | None:
    """The mail whose subject or text names the picture, or None."""
    names = re.compile(rf"(?<![\w-]){re.escape(str(image_id))}(?![\w-])")
    return next((m for m in mails if names.search(f"{m.get('subject')}\n{m.get('text')}")), None)


def count_tasks(stack: Stack) -> str:
    """Sends small tasks whose every start and end is counted; returns what came of them."""
    answer = stack.ask("POST", "/faults/count", json={"count": FAULT_TASKS})
    if answer.status_code == httpx.codes.NOT_FOUND:
        return "skipped: this stack runs with FAULTS=off"
    ledger = f"/faults/ledger/{field(read_json(answer, 202), 'batch')}"

    def ended() -> dict[str, Any] | None:
        seen: dict[str, Any] = stack.read(ledger)
        return seen if field(seen, "ended") >= FAULT_TASKS else None

    verdict = stack.wait("the end of the counted tasks", ended)
    if verdict.get("lost") != 0 or verdict.get("doubled") != 0:
        raise SmokeError(f"the ledger says {verdict}: expected lost 0, doubled 0.\n  GET {stack.api}{ledger}")
    return f"{FAULT_TASKS} tasks accepted, lost 0, doubled 0"


class Once:
    """Says the first line that it is given and swallows the rest."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Callable[[str], None] | None = say

    def __call__(self, line: str) -> None:
        if self._say:
            self._say(line)
        self._say = None
