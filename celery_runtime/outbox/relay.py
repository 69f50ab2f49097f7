"""Publish what waits in the outbox: after each commit from a thread, and every few seconds from a worker.

A batch is locked, published and deleted in one transaction, so that two relays never publish the same row; on SQLite,
which locks no rows, that holds where transactions begin as writers (BEGIN IMMEDIATE).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from celery import Celery, Signature
from celery.utils.log import get_logger
from kombu.utils.json import loads

from celery_runtime import publishing
from celery_runtime.outbox.table import outbox_table
from celery_runtime.publishing import BrokerAwayError

# After `table`, whose error names the extra that is missing.
from sqlalchemy import MetaData, delete, select, update  # isort: skip
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

BATCH = 100  # rows; as many tasks are published twice when a process is killed between publishing and deleting
REST = 5  # seconds without a try after a commit, once the broker was away; the periodic relay takes over
AT_ONCE = 2  # seconds that the thread waits for the broker, with its rows locked

log = get_logger(__name__)


class Relay:
    """Publishes the rows of the table, oldest first."""

    def __init__(self, app: Celery, transaction: Callable[[], AbstractContextManager[Session]]) -> None:
        self.app, self.transaction = app, transaction
        self.table = outbox_table(MetaData())
        self._wake = threading.Event()
        self._pid = 0  # of the process that has the thread: a pool child needs one of its own
        self._starting = threading.Lock()

    def run(self, timeout: float | None = None) -> int:
        """Publish everything that waits; returns how many. An absent broker is logged, and the rows go on waiting.

        timeout: seconds for the broker to confirm a task; by default PUBLISH_TIMEOUT.
        """
        published = 0
        try:
            while count := self._batch(timeout):
                published += count
        except BrokerAwayError as away:
            log.warning("outbox: %s. Tasks go on waiting in the table", away)
        return published

    def nudge(self, _session: Any = None) -> None:
        """Let the thread of this process publish what was just committed; returns at once."""
        if self._pid != os.getpid():
            with self._starting:
                if self._pid != os.getpid():
                    self._pid, self._wake = os.getpid(), threading.Event()
                    threading.Thread(target=self._publish_on_wake, name="outbox", daemon=True).start()
        self._wake.set()

    def _publish_on_wake(self) -> None:
        while self._wake.wait():
            self._wake.clear()
            try:
                while self._batch(AT_ONCE):
                    pass
            except (BrokerAwayError, SQLAlchemyError) as error:
                log.warning("outbox: %s. The periodic relay tries again", error)
                time.sleep(REST)

    def _batch(self, timeout: float | None) -> int:
        """Publish the oldest rows; returns how many are done with. Raises BrokerAwayError."""
        waiting = select(self.table).where(self.table.c.error.is_(None)).order_by(self.table.c.number)
        with self.transaction() as session:
            rows = session.execute(waiting.limit(BATCH).with_for_update(skip_locked=True)).all()
            if not rows:
                return 0
            done, trouble = self._publish(rows, timeout)
            confirmed = [row.number for row in rows[:done]]
            session.execute(delete(self.table).where(self.table.c.number.in_(confirmed)))
            if trouble and not isinstance(trouble, BrokerAwayError):
                self._set_aside(session, rows[done], trouble)
                done, trouble = done + 1, None
        if trouble:
            raise trouble
        return done

    def _publish(self, rows: Sequence[Any], timeout: float | None) -> tuple[int, Exception | None]:
        """Publish in order up to the first that fails; returns how many were confirmed, and the failure."""
        begun = 0

        def tasks() -> Iterator[Signature]:
            nonlocal begun
            for row in rows:
                begun += 1
                yield self.app.signature(row.task, **loads(row.message))

        try:
            return publishing.publish(self.app, tasks(), timeout), None
        except BrokerAwayError as away:
            return away.accepted, away
        except Exception as error:  # noqa: BLE001 -- whatever it is, the rows behind it must not wait for ever
            return begun - 1, error

    def _set_aside(self, session: Session, row: Any, error: Exception) -> None:
        log.error("outbox: task %s (%s) cannot be published and stays in the table: %s", row.id, row.task, error)
        reason = f"{type(error).__name__}: {error}"
        session.execute(update(self.table).where(self.table.c.number == row.number).values(error=reason))
