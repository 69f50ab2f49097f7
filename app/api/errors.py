"""Every error has one form: `{"error": what is wrong, with the value, "remedy": what to do}`.

Nobody gets a traceback; what is unexpected is logged with one by the server.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.submit import BrokerAwayError

REMEDIES = {
    408: "Send it again, without a pause.",
    413: "Send less.",
    503: "Wait as long as Retry-After says, then send it again.",
}
SHOWN = 80  # characters of a wrong value that are repeated to its sender
log = logging.getLogger(__name__)


class Problem(BaseModel):
    """The body of every answer that says no; some carry more, which their operation tells."""

    model_config = ConfigDict(extra="allow")

    error: str = Field(description="What is wrong, with the value.", examples=["There is no user '9b2f6a0e'."])
    remedy: str = Field(description="What to do next.", examples=["Create one with POST /users."])


class ApiError(Exception):
    """An answer that says no. `more` is added to its body."""

    def __init__(self, status: int, error: str, remedy: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "remedy": remedy, **more}


def problems(*statuses: int, **reasons: str) -> dict[int | str, dict[str, Any]]:
    """`responses` of an operation, beside those that `document` adds to all of its kind.

    A status stands alone, or with its reason as in `_404="There is no such user."`.
    """
    told = {status: HTTPStatus(status).phrase for status in statuses}
    told |= {int(status[1:]): reason for status, reason in reasons.items()}
    return {status: {"model": Problem, "description": text} for status, text in told.items()}


def not_found(what: str, key: object, remedy: str) -> ApiError:
    """The answer to an id of the right form that nothing has."""
    return ApiError(404, f"There is no {what} {shown(str(key))}.", remedy)


def broker_away(cause: BrokerAwayError, consequence: str, **more: Any) -> ApiError:
    """The answer when nothing can be published or looked up; `consequence` says what became of the request."""
    log.warning("the broker or the result store is away: %s", cause)
    remedy = "Try again in a few seconds; if it stays away, look at the broker's log."
    return ApiError(503, f"The broker or the result store does not answer. {consequence}", remedy, **more)


def install(api: FastAPI) -> None:
    """Give every error of `api` its form."""
    api.add_exception_handler(ApiError, _api_error)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http_error)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        api.add_exception_handler(away, _database_away)
    api.add_exception_handler(DBAPIError, _database_error)
    api.add_exception_handler(Exception, _unexpected)


def shown(value: object) -> str:
    """A value as its sender may see it again: short, and free of what JSON or a terminal can't take."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body, status, headers)


def _api_error(request: Request, error: ApiError) -> JSONResponse:
    return _answer(error.status, error.body)


def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = error.errors()
    if faults[0]["type"] == "json_invalid":
        position, reason = faults[0]["loc"][-1], faults[0]["ctx"]["error"]
        return _answer(
            400,
            {
                "error": f"The body is not valid JSON: {reason} at character {position}.",
                "remedy": "Correct the body there; names and texts stand in double quotes.",
            },
        )
    kind = request.headers.get("content-type", "")
    if isinstance(faults[0]["input"], bytes) and "json" not in kind:
        error = f"The body was sent as {shown(kind)}, and JSON is expected."
        return _answer(422, {"error": error, "remedy": "Send it with the header Content-Type: application/json."})
    error = " ".join(_fault(fault) for fault in faults[:5])
    return _answer(422, {"error": error, "remedy": "Correct what is named; see /docs for examples."})


def _fault(fault: Mapping[str, Any]) -> str:
    name = _place(fault["loc"])
    if fault["type"] == "missing":
        return f"{name} is missing."
    if "UploadFile" in fault["msg"]:
        return f"{name} = {shown(fault['input'])} is a text, not a file like that of `curl -F {name}=@photo.jpg`."
    reason = in_words(fault)
    return f"{name} = {shown(fault['input'])} is not valid: {reason[:1].lower()}{reason[1:]}"


def in_words(fault: Mapping[str, Any]) -> str:
    """A fault that pydantic found, as a sentence without the field and its value."""
    reason, bounds = fault["msg"].removeprefix("Value error, "), fault.get("ctx", {})
    if isinstance(fault["input"], str) and "max_length" in bounds:  # pydantic speaks of items after a validation
        reason = f"it has {len(fault['input'])} characters, at most {bounds['max_length']} are allowed"
    if isinstance(fault["input"], str) and bounds.get("min_length") == 1:
        reason = "it is empty"
    return f"{reason[:1].upper()}{reason[1:]}."


def _place(location: Sequence[Any]) -> str:
    name = ".".join(str(part) for part in location[1:]) or "The body"
    return name if len(name) <= SHOWN and name.isprintable() else shown(name)  # its sender chose it


def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    path = shown(request.url.path)
    if error.status_code == 404:
        body = {"error": f"There is nothing at {path}.", "remedy": "See /docs for what there is."}
    elif error.status_code == 405:
        allowed = ", ".join(_methods(request)) or "another method"
        body = {"error": f"{request.method} is not allowed at {path}.", "remedy": f"Use {allowed}."}
        error.headers = {**(error.headers or {}), "Allow": allowed}
    else:
        remedy = REMEDIES.get(error.status_code, "Correct the request; see /docs for examples.")
        body = {"error": str(error.detail), "remedy": remedy}
    return _answer(error.status_code, body, error.headers)


def _methods(request: Request) -> list[str]:
    """What is allowed at a path; Starlette's own answer tells the methods of the first route of several."""
    routes = [found.original_route for found in iter_route_contexts(request.app.routes)]
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in here for method in getattr(route, "methods", None) or ()})


def database_away(error: Exception) -> dict[str, str]:
    """The body of the answer when the database does not answer; its reason is logged and told to nobody."""
    log.warning("the database is away: %s", error)
    return {
        "error": "The database does not answer, or has no tables yet.",
        "remedy": "Try again in a few seconds; if it stays so, see its log, or run `python -m app.migrate`.",
    }


def _database_away(request: Request, error: Exception) -> JSONResponse:
    return _answer(503, database_away(error))


def _database_error(request: Request, error: DBAPIError) -> JSONResponse:
    if getattr(error.orig, "sqlstate", None) == "42P01":  # PostgreSQL: undefined table
        return _database_away(request, error)
    raise error


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    return _answer(
        500,
        {
            "error": "The API failed on this request; that is a fault of ours, and it was logged.",
            "remedy": "Try again; if it happens again, report the time and the request.",
        },
    )
