"""Where tasks wait that were sent in a transaction: one row each, in the app's own database."""

from __future__ import annotations

from celery_runtime.tables import Serial, created_at

# After `tables`, whose error names the extra that is missing.
from sqlalchemy import Column, MetaData, String, Table, Text, Uuid  # isort: skip

NAME = "celery_runtime_outbox"


def outbox_table(metadata: MetaData) -> Table:
    """The table of tasks to publish. Give it your metadata, and create it in a migration of yours.

    `number` is the order of publishing, `id` the task's, `message` the task with its arguments and options as JSON,
    `error` why it can never be published; such a row stays for somebody to look at.
    """
    return Table(
        NAME,
        metadata,
        Column("number", Serial, primary_key=True, autoincrement=True),
        Column("id", Uuid, nullable=False, unique=True),
        Column("task", String(255), nullable=False),
        Column("message", Text, nullable=False),
        created_at(),
        Column("error", Text),
    )
