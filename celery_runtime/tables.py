"""Columns that the runtime's tables in an app's database share. Needs SQLAlchemy: the extra `outbox`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

try:
    from sqlalchemy import BigInteger, Column, DateTime, Integer, TypeDecorator
except ImportError as error:
    raise ImportError(
        "The outbox and idempotent effects need SQLAlchemy 2.\n  Install it: pip install 'celery-runtime[outbox]'"
    ) from error

Serial = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up by itself in INTEGER keys only


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone; SQLite keeps none, so that what it returns is marked as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def created_at() -> Column[datetime]:
    """When the row was made, by the clock of the process that made it."""
    return Column("created_at", UtcDateTime, nullable=False, default=now, index=True)


def now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)
