"""An effect that happens once, however often its task is delivered.

Every broker delivers a task again when it cannot know whether it ran. What the task does to its database may all the
same happen once, if the database notes in the same transaction that it did:

    with transaction() as session:
        if once(session, f"charge bill {bill_id}"):
            charge(session, bill_id)

Both become true together or not at all. Of two deliveries at the same moment one waits for the other's transaction:
the first that commits has had the effect, and when it rolls back the second has it. What happens outside of the
database (a mail, a payment provider) is not covered: give the other side a stable key, such as a Message-ID.

A marker in Redis would promise less: it and the effect are not stored together, so that a process killed between the
two loses the effect or repeats it. There is none here for that reason.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from celery_runtime.tables import created_at, now

# After `tables`, whose error names the extra that is missing.
from sqlalchemy import Column, CursorResult, MetaData, String, Table, delete  # isort: skip
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

# Without a savepoint for each, which other databases need.
INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
NAME = "celery_runtime_effects"
KEY_LENGTH = 200  # characters


def effect_table(metadata: MetaData) -> Table:
    """The table of what has happened. Give it your metadata, and create it in a migration of yours."""
    return Table(NAME, metadata, Column("key", String(KEY_LENGTH), primary_key=True), created_at())


def once(session: Session, key: str) -> bool:
    """Whether the effect named `key` is to happen now, in this session's transaction; True once for each key.

    Raises ValueError for a key above KEY_LENGTH characters.
    """
    if len(key) > KEY_LENGTH:
        raise ValueError(f"The key {key[:40]!r}... of an effect has {len(key)} characters, more than {KEY_LENGTH}.")
    row = {"key": key, "created_at": now()}
    dialect = session.get_bind().dialect.name
    if dialect in INSERTS:
        # RETURNING, because the row count of an INSERT is not to be relied on: psycopg's is -1.
        insert = INSERTS[dialect](_table).values(row).on_conflict_do_nothing().returning(_table.c.key)
        return session.scalar(insert) is not None
    try:
        with session.begin_nested():
            session.execute(_table.insert().values(row))
    except IntegrityError:
        return False
    return True


def forget_effects(session: Session, older_than: timedelta) -> int:
    """Remove the marks of effects that no delivery can repeat any more; returns how many."""
    old = delete(_table).where(_table.c.created_at < now() - older_than)
    return cast("CursorResult[Any]", session.execute(old)).rowcount


_table = effect_table(MetaData())
