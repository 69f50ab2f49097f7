"""What webhooks were sent to the stand-in: in the place of a pager or a chat, for Alertmanager.

POST /hooks/{name}           keeps the JSON that it is sent
GET /api/hooks/{name}        all of it, oldest first
"""

import json
from collections import defaultdict, deque

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEPT = 500  # calls of each name
NAMES = 20
LARGEST = 1 << 20  # bytes


def routes() -> list[Route]:
    """The routes over one memory, which ends with the process."""
    calls: dict[str, deque[object]] = defaultdict(lambda: deque(maxlen=KEPT))

    async def keep(request: Request) -> Response:
        body, name = await request.body(), request.path_params["name"]
        if len(body) > LARGEST or (name not in calls and len(calls) >= NAMES):
            raise HTTPException(413, f"at most {NAMES} names and {LARGEST} bytes a call are kept")
        try:
            calls[name].append(json.loads(body))
        except ValueError:
            raise HTTPException(400, "the body is not JSON") from None
        return JSONResponse({"kept": len(calls[name])}, status_code=202)

    async def kept(request: Request) -> Response:
        return JSONResponse(list(calls.get(request.path_params["name"], ())))

    return [Route("/hooks/{name}", keep, methods=["POST"]), Route("/api/hooks/{name}", kept)]
