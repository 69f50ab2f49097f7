from celery.result import AsyncResult
from flask import Blueprint, request

from newsletter import tasks

blueprint = Blueprint("letters", __name__)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@blueprint.post("/letters")
def send() -> tuple[dict[str, str], int]:
    text = request.get_json().get("text", "")
    return {"result_id": tasks.sign.delay(text).id}, 202


@blueprint.get("/letters/<result_id>")
def result(result_id: str) -> dict[str, object]:
    found = AsyncResult(result_id)
    ready = found.ready()
    return {
        "ready": ready,
        "successful": found.successful() if ready else None,
        "value": found.result if ready else None,
    }
