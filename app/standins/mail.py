"""A mail server that keeps what it gets instead of delivering it: SMTP in, a page and a JSON API out.

    GET /                        the mails, newest first, for people; GET /messages/{id} shows one
    GET /api/messages?to=        the same as JSON: id, from, to, subject, date, text
    GET /api/messages/{id}       one mail
    DELETE /api/messages         forgets all mails
    POST /hooks/{name}           a webhook, kept for GET /api/hooks/{name}
    GET /healthz                 200 while it serves

`from` and `to` are those of the SMTP envelope: who a mail was really sent to, whatever its header says.
Two recipients let failures be shown, at any domain and with any +tag:

    bounce@example.com           refused with 550, for good
    later@example.com            refused with 451 the first time, accepted from then on

Settings: MAIL_HOST (0.0.0.0), MAIL_SMTP_PORT (1025), MAIL_HTTP_PORT (8025).
"""

import asyncio
import os
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.standins import hooks, mail_page
from app.standins.mailbox import MAX_MESSAGE_BYTES, Mail, Mailbox
from app.standins.serving import HttpServer, StandinError, address, end_at_once, listen, refuse_to_start

# Scripts and foreign content stay off even if escaping had a hole: what a mail says comes from strangers.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


class Receiver:
    """Answers SMTP commands; aiosmtpd calls the methods by name and sends back what they return."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, recipient: str, options: list[str]
    ) -> str:
        name = recipient.partition("@")[0].partition("+")[0].lower()
        if name == "bounce":
            return f"550 5.1.1 {recipient}: no such user"
        if name == "later" and self.mailbox.is_first_try(recipient):
            return f"451 4.3.0 {recipient}: try again later"
        envelope.rcpt_tos.append(recipient)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        kept = self.mailbox.add(envelope.mail_from or "", envelope.rcpt_tos, raw)
        return f"250 2.0.0 OK, kept as {kept.id}"


def http_app(mailbox: Mailbox) -> Starlette:
    """The page and the JSON API over one mailbox."""

    async def page(request: Request) -> Response:
        return HTMLResponse(mail_page.listing(mailbox.newest_first()), headers=PAGE_HEADERS)

    async def page_of_one(request: Request) -> Response:
        return HTMLResponse(mail_page.single(_find(mailbox, request)), headers=PAGE_HEADERS)

    async def messages(request: Request) -> Response:
        found = mailbox.newest_first(to=request.query_params.get("to", ""))
        return JSONResponse([mail.as_json() for mail in found])

    async def message(request: Request) -> Response:
        return JSONResponse(_find(mailbox, request).as_json())

    async def forget(request: Request) -> Response:
        return JSONResponse({"deleted": mailbox.clear()})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/messages/{id:int}", page_of_one),
            Route("/api/messages", messages, methods=["GET"]),
            Route("/api/messages", forget, methods=["DELETE"]),
            Route("/api/messages/{id:int}", message),
            Route("/healthz", healthz),
            *hooks.routes(),
        ],
        exception_handlers={HTTPException: _explain},
    )


def _find(mailbox: Mailbox, request: Request) -> Mail:
    number = request.path_params["id"]
    mail = mailbox.get(number)
    if mail is None:
        raise HTTPException(404, f"there is no mail {number}; only the newest are kept")
    return mail


async def _explain(request: Request, error: Any) -> Response:
    what = f"{request.method} {request.url.path}: {error.detail}"
    body = {"error": what, "remedy": "GET /api/messages lists the mails."}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def serve(mailbox: Mailbox, host: str) -> None:
    """Serves SMTP and HTTP until a signal ends the process. Raises StandinError when a port cannot be had."""
    end_at_once()
    smtp = listen("MAIL_SMTP_PORT", host, 1025)
    http = listen("MAIL_HTTP_PORT", host, 8025)
    await asyncio.get_running_loop().create_server(lambda: smtp_session(mailbox), sock=smtp)
    print(f"mail: SMTP on {address(smtp)}, page and API on http://{address(http)}", flush=True)
    await HttpServer(http_app(mailbox)).serve(sockets=[http])


def smtp_session(mailbox: Mailbox) -> SMTP:
    """One SMTP connection. It is given a host name: aiosmtpd would ask DNS for one each time."""
    return SMTP(
        Receiver(mailbox),
        hostname="mail.invalid",
        ident="Celery Blueprint",
        data_size_limit=MAX_MESSAGE_BYTES,
        enable_SMTPUTF8=True,
        loop=asyncio.get_running_loop(),
    )


def main() -> None:
    try:
        asyncio.run(serve(Mailbox(), os.environ.get("MAIL_HOST") or "0.0.0.0"))  # noqa: S104 - a container's own
    except StandinError as error:
        refuse_to_start(error)


if __name__ == "__main__":
    main()
