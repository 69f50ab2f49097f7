"""What browsers are asked and told, on every path: somebody else's page may neither write nor run anything here.

There is no login, hence no cookie whose power could be borrowed; but an API on 127.0.0.1, or behind a company's wall,
is within reach of every page that its user opens, and a form needs no permission (CORS) to be sent. So a request that
changes something is refused when its browser says that it comes from elsewhere. Programs say nothing, and are let in.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HARMLESS = {"GET", "HEAD", "OPTIONS"}
OURS = {"same-origin", "none"}  # none: typed in, or from a bookmark
# Everything from here and nothing inline: what people wrote stays text even if escaping had a hole.
TOLD = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Browsers:
    """Refuses what another site sends with 403, and adds TOLD to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(TOLD)
            await send(message)

        if scope["method"] not in HARMLESS and _is_foreign(Headers(scope=scope)):
            return await _refusal()(scope, receive, told)
        return await self.app(scope, receive, told)


def _is_foreign(headers: Headers) -> bool:
    """By Sec-Fetch-Site; browsers leave it out on plain HTTP beyond this machine, but send Origin with every POST."""
    if site := headers.get("sec-fetch-site"):
        return site not in OURS
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _refusal() -> JSONResponse:
    body = {
        "error": "Another site's page sent this request.",
        "remedy": "Send it from a page of this address, or from a program.",
    }
    return JSONResponse(body, 403)
