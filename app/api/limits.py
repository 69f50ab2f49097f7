"""Stop a body that is too large while it arrives: parsed first and measured later, it would fill the disk.

A client that is still sending seldom reads an answer, so a body that is not absurdly large is read to its end and
thrown away before the answer goes out.
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FRAME = 65_536  # bytes of a multipart body around its file: boundaries, headers, small fields
MAX_JSON = 1_048_576  # bytes
MAX_DISCARDED = 100 * 1_048_576  # bytes


class BodyLimit:
    """Refuses a body above `max_upload` bytes (POST /images) or MAX_JSON (everything else) with 413."""

    def __init__(self, app: ASGIApp, max_upload: int) -> None:
        self.app = app
        self.max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.max_upload + FRAME if scope["path"].rstrip("/") == "/images" else MAX_JSON
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

        return await self.app(scope, measured, send)

    def _too_large(self, size: int, limit: int) -> HTTPException:
        allowed = min(limit, self.max_upload)  # of an upload, the file's share
        return HTTPException(413, f"The body has at least {size} bytes, more than the {allowed} allowed.")


def _content_length(scope: Scope) -> int:
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


async def _discard(receive: Receive, message: Message, received: int) -> None:
    while message.get("more_body") and received < MAX_DISCARDED:
        message = await receive()
        received += len(message.get("body", b""))
