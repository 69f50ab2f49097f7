"""A task that is sent if and only if the database transaction commits.

Published before the commit, a task may find nothing, or do what was then rolled back; published after it, it is lost
with a process that is killed in between, or with a broker that is away. Here it is a row of the same transaction:

    with transaction() as session:
        session.add(post)
        outbox.send(session, app.signature("app.tasks.notices.announce_post", args=[str(post.id)]))

After the commit a thread of this process publishes it at once. What that thread could not publish (the process was
killed, the broker is away) the task `celery_runtime.outbox.relay` does: have Beat send it every few seconds, and let
the workers import the module that makes the Outbox. A row goes when the broker has confirmed its task; what is killed
between the two publishes it again, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

from celery import Celery, Signature
from kombu.utils.json import dumps

from celery_runtime import tracing
from celery_runtime.outbox.relay import Relay
from celery_runtime.outbox.table import outbox_table
from celery_runtime.tables import now

from sqlalchemy import event, func, insert, select  # isort: skip

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Outbox", "Waiting", "outbox_table"]

RELAY = "celery_runtime.outbox.relay"


class Waiting(NamedTuple):
    """What is in the table: `tasks` wait to be published, the oldest for `age` seconds; `failed` never can be."""

    tasks: int
    age: float
    failed: int


class Outbox:
    """Sends tasks of `app` through the table that `outbox_table` describes.

    transaction: opens a session that commits when its block ends, and rolls back when the block raises.
    """

    def __init__(self, app: Celery, transaction: Callable[[], AbstractContextManager[Session]]) -> None:
        self.app, self.transaction = app, transaction
        self.relay = Relay(app, transaction)
        self.table = self.relay.table

        @app.task(name=RELAY, ignore_result=True, shared=False)  # type: ignore[untyped-decorator]
        def relay() -> int:
            return self.relay.run()

    def send(self, session: Session, task: Signature) -> UUID:
        """Publish `task` once the transaction of `session` has committed; returns its id.

        Raises ArgumentsTooLargeError, TypeError for a chain, group or chord, and what Celery raises for a queue that
        does not exist.
        """
        row = self._row(task)
        session.execute(insert(self.table), row)
        if not event.contains(session, "after_commit", self.relay.nudge):
            event.listen(session, "after_commit", self.relay.nudge)
        task_id: UUID = row["id"]
        return task_id

    def waiting(self) -> Waiting:
        """Count what the table holds."""
        failed = self.table.c.error.is_not(None)
        with self.transaction() as session:
            count, oldest = session.execute(
                select(func.count(), func.min(self.table.c.created_at)).where(~failed)
            ).one()
            failures = session.scalar(select(func.count()).select_from(self.table).where(failed))
        age = (now() - oldest).total_seconds() if oldest else 0.0
        return Waiting(count, max(age, 0.0), failures or 0)

    def _row(self, task: Signature) -> dict[str, Any]:
        if type(task) is not Signature:
            raise TypeError(
                f"The outbox takes a task, not a {type(task).__name__}, whose parts get new ids whenever it is sent.\n"
                "  Send a task that starts it."
            )
        task_id = UUID(task.options["task_id"]) if "task_id" in task.options else uuid4()
        options = tracing.carry(_from_now(self.app, {**task.options, "task_id": str(task_id)}))
        # What could not be published later is refused now, while somebody hears of it.
        self.app.amqp.router.route(dict(options), task.task, task.args, task.kwargs)
        self.app.amqp.as_task_v2(str(task_id), task.task, task.args, task.kwargs)
        message = {"args": task.args, "kwargs": task.kwargs, "options": options}
        return {"id": task_id, "task": task.task, "message": dumps(message)}


def _from_now(app: Celery, options: dict[str, Any]) -> dict[str, Any]:
    """`options` with moments for what counts from now: they must not count from the publishing."""
    if countdown := options.pop("countdown", None):
        options["eta"] = app.now() + timedelta(seconds=countdown)
    if isinstance(expires := options.get("expires"), (int, float)):
        options["expires"] = app.now() + timedelta(seconds=expires)
    return options
