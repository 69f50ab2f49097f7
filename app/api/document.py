"""The OpenAPI document, completed with the answers that every operation of a kind may give.

What reads bodies, looks up ids or asks the database says no in the same few ways wherever it stands, so that is written
here once; an operation's own `responses` tell what is special about it, and win.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.errors import Problem

ANSWERS = {
    400: ("The body cannot be read.", "The body is not valid JSON: Expecting value at character 12."),
    403: ("Another site's page sent it.", "Another site's page sent this request."),
    404: ("There is nothing of that name.", "There is no post '9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11'."),
    408: ("Nothing of the body arrived for a while.", "Nothing of the body arrived for 20 s."),
    409: ("It clashes with what is there.", "There is a user with the e-mail 'ada@example.org' already."),
    413: ("Too large.", "The body has at least 30000000 bytes, more than the 20971520 allowed."),
    415: ("Not a picture that can be processed.", "The file is not a picture in a known format."),
    422: ("A value is missing or wrong.", "limit = '0' is not valid: input should be greater than or equal to 1."),
    503: ("Broker, result store or database are away.", "The database does not answer, or has no tables yet."),
}
ASKS_NOBODY = {"/healthz"}
METHODS = {"get", "post", "put", "patch", "delete"}


def install(api: FastAPI) -> None:
    """Let `api` describe itself with every answer that it may give."""

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _completed(
                get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
            )
        return api.openapi_schema

    api.openapi = described  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own form, which is never sent here
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for path, operations in document["paths"].items():
        for method in METHODS & set(operations):
            _complete(path, method, operations[method])
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    for status in _of_its_kind(path, method, operation):
        answers.setdefault(str(status), {"description": ANSWERS[status][0]})
    for status, answer in answers.items():
        if status.isdigit() and int(status) in ANSWERS and not _is_its_own(answer):
            example = {"error": ANSWERS[int(status)][1], "remedy": "Correct what is named; see /docs for examples."}
            schema = {"$ref": "#/components/schemas/Problem"}
            answer["content"] = {"application/json": {"schema": schema, "example": example}}
    operation["responses"] = dict(sorted(answers.items()))


def _of_its_kind(path: str, method: str, operation: dict[str, Any]) -> Iterator[int]:
    if method != "get":
        yield 403
    if "requestBody" in operation:
        yield from (400, 413, 422)
    if "{" in path:
        yield 404
    if operation.get("parameters"):
        yield 422
    if path not in ASKS_NOBODY:
        yield 503


def _is_its_own(answer: dict[str, Any]) -> bool:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return bool(schema) and schema.get("$ref") != "#/components/schemas/Problem"
