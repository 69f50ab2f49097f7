"""Stop a body that is too large while it arrives, and take a few uploads at a time: both would fill the memory.

A client that is still sending seldom reads an answer, so a body that is not absurdly large is read to its end and
thrown away before the answer goes out.
"""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FRAME = 65_536  # bytes of a multipart body around its file: boundaries, headers, small fields
# Bytes: twice the longest post with every character escaped; a MiB of unknown fields holds up all others for 0.3 s.
MAX_JSON = 262_144
MAX_DISCARDED = 100 * 1_048_576  # bytes
UPLOAD_PATHS = {"/images", "/upload"}  # the API's, and that of the page's form
UPLOADS = 4  # at a time; each holds its file up to three times on the way into the database
WAITING = 256  # uploads beyond those; about a minute of the largest, and each costs a connection
RETRY_AFTER = 10  # seconds
STALLED = 20  # seconds without a byte of an upload that others may be waiting for


class BodyLimit:
    """Refuses a body above `max_upload` bytes (POST of a picture) or MAX_JSON (everything else) with 413.

    Of an upload nothing is read while UPLOADS others are on their way; the server's flow control keeps its client
    from sending more than a few kilobytes. One that stops sending for STALLED seconds is refused with 408,
    and one that finds WAITING others before it with 503.
    """

    def __init__(self, app: ASGIApp, max_upload: int) -> None:
        self.app = app
        self.max_upload = max_upload
        self.uploads = asyncio.Semaphore(UPLOADS)  # binds itself to the loop that first has to wait
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["path"].rstrip("/") not in UPLOAD_PATHS:
            return await self.app(scope, self._measured(scope, receive, MAX_JSON), send)
        receive = self._measured(scope, _hurried(receive), self.max_upload + FRAME)
        if scope["method"] != "POST":
            return await self.app(scope, receive, send)
        if self.waiting >= WAITING:
            return await self.app(scope, _busy(receive), send)
        self.waiting += 1
        try:
            await self.uploads.acquire()
        finally:
            self.waiting -= 1
        try:
            return await self.app(scope, receive, send)
        finally:
            self.uploads.release()

    def _measured(self, scope: Scope, receive: Receive, limit: int) -> Receive:
        announced = _content_length(scope)
        received = 0

        async def measured() -> Message:
            nonlocal received
            if announced > MAX_DISCARDED:
                raise self._too_large(announced, limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                await _discard(receive, message, received)
                raise self._too_large(max(announced, received), limit)
            return message

        return measured

    def _too_large(self, size: int, limit: int) -> HTTPException:
        allowed = min(limit, self.max_upload)  # of an upload, the file's share
        return HTTPException(413, f"The body has at least {size} bytes, more than the {allowed} allowed.")


def _hurried(receive: Receive) -> Receive:
    more = True

    async def hurried() -> Message:
        nonlocal more
        try:
            async with asyncio.timeout(STALLED if more else None):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"Nothing of the body arrived for {STALLED} s.") from None
        more = message.get("more_body", False)
        return message

    return hurried


def _busy(receive: Receive) -> Receive:
    async def refuse() -> Message:
        await _discard(receive, await receive(), 0)
        raise HTTPException(503, f"{WAITING} uploads wait already.", {"Retry-After": str(RETRY_AFTER)})

    return refuse


def _content_length(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


async def _discard(receive: Receive, message: Message, received: int) -> None:
    while message.get("more_body") and received < MAX_DISCARDED:
        message = await receive()
        received += len(message.get("body", b""))
