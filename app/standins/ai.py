"""An OpenAI-compatible server that answers by rules instead of a model, and fails on demand.

    POST /v1/chat/completions    chat completion (no streaming), in OpenAI's shape, errors too
    GET /v1/models               one model, `standin-1`; requests may name any
    GET /healthz                 200 while it serves

A prompt that asks for a fact check (a system message with "fact", or a `response_format` of JSON) is answered
with `{"verdict": "true|false|unverified", "confidence": 0..1, "reason": "..."}` as text; every other prompt
with its own last message. The rules stand in `verdicts.py`: sums are calculated, a few sentences are known.

A request is made to fail by headers, or by words in its text, which pass through an app unchanged:

    X-Standin-Delay: 2.5         [[delay=2.5]]        seconds before the answer, at most 60
    X-Standin-Status: 429        [[status=429]]       this status (400-599) instead of an answer
    X-Standin-Retry-After: 3     [[retry-after=3]]    seconds, sent as Retry-After with that status (429: 1)
    X-Standin-Bad: json          [[bad=json]]         a bad answer with status 200:
                                                      json (text that is no JSON), schema (JSON, no verdict),
                                                      empty (no choices), html (a web page), cut (half a body)
    X-Standin-Times: 2           [[times=2]]          only the first 2 requests with this text fail

Settings: AI_HOST (0.0.0.0), AI_PORT (8080).
"""

import asyncio
import json
import os
import time
import uuid
from collections import OrderedDict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.standins.chat import ApiError, Chat, Order, read_chat, read_order
from app.standins.serving import HttpServer, StandinError, address, end_at_once, listen, refuse_to_start
from app.standins.verdicts import verdict

MODEL = "standin-1"
MAX_BODY_BYTES = 1024 * 1024
ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_exceeded"}
MAX_REMEMBERED = 1000  # texts whose failures are counted for `times`


class Failures:
    """Counts how often each text was made to fail, so that `times=2` fails twice. Forgets the oldest text."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()

    def due(self, text: str, order: Order) -> bool:
        """True when this request is one of those that must fail."""
        if order.times is None:
            return True
        count = self._counts.pop(text, 0) + 1
        self._counts[text] = count
        while len(self._counts) > MAX_REMEMBERED:
            self._counts.popitem(last=False)
        return count <= order.times


def http_app() -> Starlette:
    """The API, with its own memory of failures."""
    failures = Failures()

    async def complete(request: Request) -> Response:
        chat = read_chat(await _body(request))
        order = read_order(request.headers, chat.text)
        await asyncio.sleep(order.delay)
        if not order.fails or not failures.due(chat.text, order):
            return JSONResponse(completion(chat, answer(chat)))
        return _bad_answer(chat, order.bad) if order.bad else _ordered_error(order)

    async def models(request: Request) -> Response:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "celery-blueprint"}
        return JSONResponse({"object": "list", "data": [model]})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", models),
            Route("/healthz", healthz),
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error},
    )


def answer(chat: Chat) -> str:
    """The assistant's text: the same for the same messages, always."""
    return json.dumps(verdict(chat.text)) if chat.wants_verdict else f"You said: {chat.text}"


def completion(chat: Chat, text: str) -> dict[str, Any]:
    """A chat completion object. A word counts as a token."""
    prompt, completed = sum(len(t.split()) for t in chat.texts), len(text.split())
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": chat.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completed,
            "total_tokens": prompt + completed,
        },
    }


def _bad_answer(chat: Chat, kind: str) -> Response:
    if kind == "html":
        return Response("<html><body>Bad gateway, probably</body></html>", media_type="text/html")
    if kind == "empty":
        return JSONResponse({**completion(chat, ""), "choices": []})
    if kind == "cut":
        whole = json.dumps(completion(chat, answer(chat)))
        return Response(whole[: len(whole) // 2], media_type="application/json")
    text = '{"opinion": "probably"}' if kind == "schema" else "Well, that depends."
    return JSONResponse(completion(chat, text))


def _ordered_error(order: Order) -> Response:
    kind = "server_error" if order.status >= 500 else ERROR_TYPES.get(order.status, "invalid_request_error")
    headers = {"Retry-After": order.retry_after} if order.retry_after else {}
    message = f"Failing with {order.status}, as this request asked for."
    return _error(order.status, message, kind, headers=headers)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(f"The request body is larger than {MAX_BODY_BYTES} bytes.", status=413)
    return bytes(body)


async def _api_error(request: Request, error: Any) -> Response:
    return _error(error.status, str(error), "invalid_request_error", param=error.param)


async def _http_error(request: Request, error: Any) -> Response:
    message = f"{error.detail}: {request.method} {request.url.path}"
    return _error(error.status_code, message, "invalid_request_error", headers=dict(error.headers or {}))


def _error(
    status: int, message: str, kind: str, param: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    body = {"error": {"message": message, "type": kind, "param": param, "code": None}}
    return JSONResponse(body, status_code=status, headers=headers)


async def serve(host: str) -> None:
    """Serves until a signal ends the process. Raises StandinError when the port cannot be had."""
    end_at_once()
    http = listen("AI_PORT", host, 8080)
    print(f"ai: http://{address(http)}/v1", flush=True)
    await HttpServer(http_app()).serve(sockets=[http])


def main() -> None:
    try:
        asyncio.run(serve(os.environ.get("AI_HOST") or "0.0.0.0"))  # noqa: S104 - a container's own
    except StandinError as error:
        refuse_to_start(error)


if __name__ == "__main__":
    main()
