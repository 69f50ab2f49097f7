"""What is remembered of tasks whose connection was lost: which still run, and which are settled.

RabbitMQ delivers again what a lost connection held. The result of a success says that a task has run; for every other
end, and while it runs, a worker that lost its connection leaves a mark where the results are. Nothing is written, or
read, for a message that is delivered once.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from celery import Celery, states
from celery.utils.log import get_logger
from kombu.utils.encoding import bytes_to_str

from celery_runtime.task_metrics import PUBLISHED

RUNS_FOR = 30  # seconds that the mark of a running task holds; its worker renews it, and may be killed
SETTLED_FOR = 86_400  # seconds; as long as results are kept
RESULT = "celery-task-meta-"
log = get_logger(__name__)


class State(Enum):
    UNKNOWN = 0
    RUNNING = 1
    SETTLED = 2


def stamp(headers: dict[str, Any]) -> str:
    """What sets a message apart from others of the same task, those of its retries and of a replay among them."""
    return f"{headers.get('retries') or 0} {headers.get(PUBLISHED, '')}"


class Marks:
    """In the result backend of `app`; where that is not Redis, only its stored results are looked at."""

    def __init__(self, app: Celery) -> None:
        self.app = app

    @property
    def _client(self) -> Any:
        return getattr(self.app.backend, "client", None) if hasattr(self.app.backend, "get_key_for_task") else None

    def look(self, task_id: str, headers: dict[str, Any]) -> State:
        """What became of a message that is delivered again; UNKNOWN when the results cannot be asked."""
        try:
            client = self._client
            running, settled = client.mget(self._keys(task_id)) if client else (None, None)
            said = stamp(headers)
            if settled and bytes_to_str(settled) == said:
                return State.SETTLED
            if running and bytes_to_str(running) == said:
                return State.RUNNING
            return State.SETTLED if self.app.backend.get_state(task_id) == states.SUCCESS else State.UNKNOWN
        except Exception as error:  # noqa: BLE001 -- every backend has errors of its own
            log.warning("direct: whether %s has run before is not known, it runs: %s", task_id, error)
            return State.UNKNOWN

    def run(self, task_id: str, said: str) -> None:
        """Note that a task runs whose message RabbitMQ delivers again."""
        client = self._client
        if client:
            client.set(self._keys(task_id)[0], said, ex=RUNS_FOR)

    def settle(self, task_id: str, said: str) -> None:
        """Note that a message needs nothing but its acknowledgement."""
        client = self._client
        if client:
            client.set(self._keys(task_id)[1], said, ex=SETTLED_FOR)
            self.forget(task_id)

    def forget(self, task_id: str) -> None:
        """Note that a task runs no more."""
        client = self._client
        if client:
            client.delete(self._keys(task_id)[0])

    def _keys(self, task_id: str) -> tuple[str, str]:
        key: str = bytes_to_str(self.app.backend.get_key_for_task(task_id))
        return key.replace(RESULT, "celery-task-running-"), key.replace(RESULT, "celery-task-settled-")
