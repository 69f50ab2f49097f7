"""What the steps share: one user and one picture, made when the first of them asks."""

import time
from functools import cached_property
from typing import Any
from uuid import uuid4

from app.smoke.client import SkippedError, SmokeError, Stack, field, read_json

ENDED = ("SUCCESS", "FAILURE", "REVOKED")
POLL = 0.02  # seconds between two looks at a task whose steps are to be seen


class Upload:
    """A picture that was sent, and every different answer about its task up to the last."""

    def __init__(self, stack: Stack, data: bytes, user_id: str | None = None) -> None:
        began = time.monotonic()
        form = {"user_id": user_id} if user_id else {}
        answer = stack.ask("POST", "/images", files={"file": ("picture.jpg", data, "image/jpeg")}, data=form)
        self.seconds = time.monotonic() - began
        accepted = read_json(answer, 202)
        self.task, self.url = field(accepted, "task"), field(accepted, "image")
        self.id = field(accepted, "image_id")
        self.states = follow(stack, self.task)
        self.image = stack.read(self.url)


def follow(stack: Stack, task: str) -> list[dict[str, Any]]:
    """Every different answer of /tasks/{id}, up to the last. Raises SmokeError at the deadline."""
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["state"] not in ENDED:
        status = stack.read(task)
        if not seen or status != seen[-1]:
            seen.append(status)
        if time.monotonic() > stack.deadline:
            raise SmokeError(f"{task} still says {status['state']}.\n  See `make logs`, or wait longer: --timeout.")
        time.sleep(POLL)
    return seen


class Visit:
    """One walk through a stack."""

    def __init__(self, stack: Stack, photo: bytes) -> None:
        self.stack, self.photo = stack, photo

    @cached_property
    def operations(self) -> set[str]:
        """What the API offers, like `POST /users`, and what may stand in a body, like `POST /users name`."""
        document = self.stack.read("/openapi.json")
        found = set()
        for path, methods in field(document, "paths").items():
            for method, operation in methods.items():
                name = f"{method.upper()} {path}"
                found |= {name, *(f"{name} {each}" for each in _fields(document, operation))}
        return found

    @cached_property
    def user(self) -> dict[str, Any]:
        return self.new_user("smoke")

    @cached_property
    def picture(self) -> Upload:
        return Upload(self.stack, self.photo, self.user["id"])

    @cached_property
    def damaged(self) -> Upload:
        """A picture that breaks off half-way, which its first task finds out."""
        return Upload(self.stack, self.photo[: len(self.photo) // 2])

    @cached_property
    def health(self) -> dict[str, Any]:
        """The deep answer, whatever its status."""
        health: dict[str, Any] = self.stack.ask("GET", "/healthz", params={"deep": 1}).json()
        return health

    def new_user(self, name: str) -> dict[str, Any]:
        """Somebody with an address of his own, NAME+something@example.com."""
        body = {"email": f"{name}+{uuid4().hex[:12]}@example.com", "name": "Smoke test"}
        user: dict[str, Any] = read_json(self.stack.ask("POST", "/users", json=body), 201)
        return user

    def post(self, path: str, status: int, body: object = None) -> Any:
        """The JSON of a POST that must be answered with `status`."""
        return read_json(self.stack.ask("POST", path, json=body), status)

    def start(self, name: str, **body: object) -> str:
        """Where the ledger of a new batch of faults is. Raises SkippedError where faults are off."""
        answer = self.stack.ask("POST", f"/faults/{name}", json=body)
        if answer.status_code == 404:
            raise SkippedError("this stack runs with FAULTS=off")
        return f"/faults/ledger/{field(read_json(answer, 202), 'batch')}"

    def ledger(self, name: str, **body: object) -> dict[str, Any]:
        """The ledger of a batch of faults, when all its tasks ended. Raises SkippedError where faults are off."""
        path = self.start(name, **body)

        def ended() -> dict[str, Any] | None:
            seen: dict[str, Any] = self.stack.read(path)
            return seen if seen["ended"] >= seen["accepted"] else None

        ledger: dict[str, Any] = self.stack.wait("the end of the counted tasks", ended)
        if ledger["lost"] or ledger["doubled"]:
            raise SmokeError(f"the ledger says {ledger}: expected lost 0, doubled 0.\n  GET {self.stack.api}{path}")
        return ledger


def _fields(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    references = [each["$ref"].split("/")[-1] for each in (schema, *schema.get("anyOf", ())) if "$ref" in each]
    return [name for reference in references for name in document["components"]["schemas"][reference]["properties"]]
