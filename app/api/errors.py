"""Every error has one form: `{"error": what is wrong, with the value, "remedy": what to do}`.

Nobody gets a traceback; what is unexpected is logged with one by the server.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.submit import BrokerAwayError

REMEDIES = {408: "Send it again, without a pause.", 413: "Send less."}
SHOWN = 80  # characters of a wrong value that are repeated to its sender
log = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer that says no. `more` is added to its body."""

    def __init__(self, status: int, error: str, remedy: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "remedy": remedy, **more}


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
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{name} = {shown(fault['input'])} is not valid: {reason[:1].lower()}{reason[1:]}."


def _place(location: Sequence[Any]) -> str:
    name = ".".join(str(part) for part in location[1:]) or "The body"
    return name if len(name) <= SHOWN and name.isprintable() else shown(name)  # its sender chose it


def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    path = shown(request.url.path)
    if error.status_code == 404:
        body = {"error": f"There is nothing at {path}.", "remedy": "See /docs for what there is."}
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        body = {"error": f"{request.method} is not allowed at {path}.", "remedy": f"Use {allowed}."}
    else:
        remedy = REMEDIES.get(error.status_code, "Correct the request; see /docs for examples.")
        body = {"error": str(error.detail), "remedy": remedy}
    return _answer(error.status_code, body, error.headers)


def _database_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("the database is away: %s", error)
    return _answer(
        503,
        {
            "error": "The database does not answer, or has no tables yet.",
            "remedy": "Try again in a few seconds; if it stays so, see its log, or run `python -m app.migrate`.",
        },
    )


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
