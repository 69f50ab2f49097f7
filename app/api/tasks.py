"""What became of a task. An id that was never given out is told apart from one whose task still waits."""

import re
from typing import Any, Literal
from uuid import UUID, uuid4

from celery import Signature
from celery.states import EXCEPTION_STATES
from fastapi import APIRouter
from pydantic import BaseModel, Field

from app import submit
from app.api.errors import broker_away, not_found
from app.progress import reason

router = APIRouter(prefix="/tasks", tags=["tasks"])

# How Celery reports that a step of a chord failed; the step's own result has the reason.
CHORD_ERROR = re.compile(r"Dependency (\S+) raised ")


class Progress(BaseModel):
    done: int = Field(examples=[3])
    total: int = Field(examples=[7])
    percent: int = Field(examples=[43])
    step: str = Field(examples=["thumbnail 256"])


class TaskAnswer(BaseModel):
    id: UUID
    state: Literal["PENDING", "RECEIVED", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]
    progress: Progress | None
    result: Any
    error: str | None


class StartedTask(BaseModel):
    task_id: UUID
    task: str = Field(examples=["/tasks/1f0c2d5e-3f61-4a35-8c5b-6d1c5a2b7e90"])


def start(task: Signature, otherwise: str) -> StartedTask:
    """Publish a task under an id of its own; `otherwise` says what the broker's absence means. Raises ApiError."""
    task_id = uuid4()
    try:
        submit.start(task.set(task_id=str(task_id)))
    except submit.BrokerAwayError as cause:
        raise broker_away(cause, otherwise) from cause
    return StartedTask(task_id=task_id, task=f"/tasks/{task_id}")


@router.get("/{task_id}", summary="State, progress, result or error of a task")
def read_task(task_id: UUID) -> TaskAnswer:
    try:
        return _answer(task_id)
    except submit.BrokerAwayError as cause:
        raise broker_away(cause, "The task goes on all the same.") from cause


def _answer(task_id: UUID) -> TaskAnswer:
    meta = submit.look_up(str(task_id))
    if meta is None:
        raise not_found("task", task_id, "Use the task_id of a POST /images; results are kept for a day.")
    state, value = meta["status"], meta["result"]
    return TaskAnswer(
        id=task_id,
        state=state,
        progress=Progress(**value) if state == "PROGRESS" else None,
        result=value if state == "SUCCESS" else None,
        error=_explain(value) if state in EXCEPTION_STATES else None,
    )


def _explain(error: BaseException) -> str:
    failed_step = CHORD_ERROR.match(str(error))
    meta = submit.look_up(failed_step[1]) if failed_step else None
    return reason(meta["result"] if meta and isinstance(meta["result"], BaseException) else error)
