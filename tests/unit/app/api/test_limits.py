from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.exceptions import HTTPException

from app.api import limits
from app.api.limits import UPLOADS, BodyLimit


class Api:
    """An application that reads the first piece of a body and holds on until it is told to go on."""

    def __init__(self):
        self.limit = BodyLimit(self, max_upload=1000)
        self.inside, self.done, self.go_on = 0, 0, asyncio.Event()

    async def __call__(self, scope, receive, send):
        await receive()
        self.inside += 1
        try:
            await self.go_on.wait()
        finally:
            self.inside -= 1
        self.done += 1

    def ask(self, method="POST", path="/images", receive=None):
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        return asyncio.create_task(self.limit(scope, receive or body, None))


async def body():
    return {"type": "http.request", "body": b"x", "more_body": False}


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def test_uploads_are_admitted_a_few_at_a_time_before_anything_of_them_is_read():
    read = []

    async def noted():
        read.append(1)
        return await body()

    async def story():
        api = Api()
        uploads = [api.ask(receive=noted) for _ in range(2 * UPLOADS + 1)]
        await settle()
        assert (api.inside, len(read)) == (UPLOADS, UPLOADS)
        api.go_on.set()
        await asyncio.gather(*uploads)
        assert (api.done, len(read)) == (2 * UPLOADS + 1, 2 * UPLOADS + 1)

    asyncio.run(story())


def test_what_is_no_upload_does_not_wait():
    async def story():
        api = Api()
        uploads = [api.ask() for _ in range(UPLOADS + 1)]
        others = [api.ask("GET", "/healthz"), api.ask("GET", "/images"), api.ask("POST", "/users")]
        await settle()
        assert api.inside == UPLOADS + len(others)
        api.go_on.set()
        await asyncio.gather(*uploads, *others)

    asyncio.run(story())


def test_who_gives_up_while_waiting_takes_no_place_and_frees_none():
    async def story():
        api = Api()
        first = [api.ask() for _ in range(UPLOADS)]
        await settle()
        waiting = [api.ask() for _ in range(3)]
        await settle()
        for upload in waiting[:2]:
            upload.cancel()
        later = [api.ask() for _ in range(2)]
        await settle()
        assert api.inside == UPLOADS
        first[0].cancel()  # this one held a place
        await settle()
        assert api.inside == UPLOADS
        api.go_on.set()
        ended = await asyncio.gather(*first, *waiting, *later, return_exceptions=True)
        assert (api.done, sum(isinstance(e, asyncio.CancelledError) for e in ended)) == (UPLOADS - 1 + 3, 3)
        assert not api.limit.uploads.locked()

    asyncio.run(story())


def test_an_upload_that_stalls_gives_its_place_to_the_next(monkeypatch):
    monkeypatch.setattr(limits, "STALLED", 0.05)

    async def silence():
        await asyncio.Event().wait()

    async def story():
        api = Api()
        api.go_on.set()
        stalled = [api.ask(receive=silence) for _ in range(UPLOADS)]
        await asyncio.wait_for(api.ask(), 5)
        for upload in stalled:
            with pytest.raises(limits.HTTPException, match="Nothing of the body arrived"):
                await upload

    asyncio.run(story())


def test_a_body_that_is_complete_may_take_its_time(monkeypatch):
    """Starlette goes on receiving to learn of a disconnect."""
    monkeypatch.setattr(limits, "STALLED", 0.01)
    messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.request", "body": b""}]

    async def receive():
        if messages:
            return messages.pop(0)
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def story():
        hurried = limits._hurried(receive)
        assert [(await hurried())["type"] for _ in range(3)] == ["http.request", "http.request", "http.disconnect"]

    asyncio.run(story())


def test_a_stalled_client_is_told_what_to_do(database, monkeypatch):
    from app.api.main import create

    monkeypatch.setattr(limits, "STALLED", 0.05)

    async def pieces():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        await asyncio.Event().wait()

    async def story():
        transport = httpx.ASGITransport(create())
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            return await client.post("/images", content=pieces(), headers=kind)

    answer = asyncio.run(story())
    assert answer.status_code == 408
    assert answer.json() == {
        "error": "Nothing of the body arrived for 0.05 s.",
        "remedy": "Send it again, without a pause.",
    }


def test_beyond_the_longest_queue_an_upload_is_told_when_to_come_again(monkeypatch):
    monkeypatch.setattr(limits, "WAITING", 3)

    async def story():
        api = Api()
        waiting = [api.ask() for _ in range(UPLOADS + 3)]
        await settle()
        assert api.limit.waiting == 3
        with pytest.raises(HTTPException) as refused:
            await api.ask()
        assert refused.value.status_code == 503 and int(refused.value.headers["Retry-After"]) > 0
        api.go_on.set()
        await asyncio.gather(*waiting)
        assert (api.done, api.limit.waiting) == (UPLOADS + 3, 0)

    asyncio.run(story())
