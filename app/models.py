"""The tables. `app/migrations/` creates them; a test fails when the two differ."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from celery_runtime.outbox import outbox_table
from celery_runtime.tables import Serial, UtcDateTime, now
from celery_runtime.tasks.effect import effect_table

PROCESSING, READY, FAILED = "processing", "ready", "failed"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class User(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Post(Base):
    """A text. It is seen from `published_at` on, which is empty until `publish_at` has come."""

    __tablename__ = "posts"
    __table_args__ = (Index(None, "published_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    publish_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship()
    fact_check: Mapped["FactCheck | None"] = relationship(lazy="joined", viewonly=True)


class FactCheck(Base):
    """What the AI service made of a post; `reason` says why, also why there is no more than "unverified"."""

    __tablename__ = "fact_checks"
    __table_args__ = (CheckConstraint("verdict IN ('true', 'false', 'unverified')", name="verdict"),)

    post_id: Mapped[UUID] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    verdict: Mapped[str] = mapped_column(String(10))
    confidence: Mapped[float | None]
    reason: Mapped[str] = mapped_column(Text)
    checked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class PostLikes(Base):
    """The likes of a post that were taken from Redis. No foreign key: a post that is gone must not hold up a batch."""

    __tablename__ = "post_likes"

    post_id: Mapped[UUID] = mapped_column(primary_key=True)
    count: Mapped[int]


class SearchEntry(Base):
    """What a post is found by. On PostgreSQL it has a column `words` more, made of `text`: see app/search.py."""

    __tablename__ = "search_entries"

    post_id: Mapped[UUID] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    indexed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class Image(Base):
    """A picture and how far its pipeline is: each step leaves its trace in a column or a variant."""

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint(f"state IN ('{PROCESSING}', '{READY}', '{FAILED}')", name="state"),
        Index(None, "state", "updated_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    state: Mapped[str] = mapped_column(String(10), default=PROCESSING)
    error: Mapped[str | None] = mapped_column(Text)
    width: Mapped[int]
    height: Mapped[int]
    format: Mapped[str] = mapped_column(String(10))
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    validated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    user: Mapped[User | None] = relationship()
    variants: Mapped[list["ImageVariant"]] = relationship(
        order_by="ImageVariant.size", cascade="all, delete-orphan", passive_deletes=True
    )


class ImageVariant(Base):
    """A JPEG derived from an image: `kind` is compressed or thumbnail-SIZE, `size` its longest side at most."""

    __tablename__ = "image_variants"
    __table_args__ = (UniqueConstraint("image_id", "kind"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    size: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]


class Blob(Base):
    """Bytes under a key. Read and written by `app/storage.py` alone."""

    __tablename__ = "blobs"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class FaultBatch(Base):
    """One POST /faults: `accepted` is how many of `count` messages the broker confirmed."""

    __tablename__ = "fault_batches"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(20))
    queue: Mapped[str] = mapped_column(String(40))
    count: Mapped[int]
    seconds: Mapped[float]
    accepted: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)


class FaultEvent(Base):
    """A start or an end of task `n` of a batch. No foreign key: a row must cost one insert and nothing more."""

    __tablename__ = "fault_events"
    __table_args__ = (Index(None, "batch", "kind", "n"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    batch: Mapped[UUID]
    n: Mapped[int]
    kind: Mapped[str] = mapped_column(String(5))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Subscription(Base):
    """What a user pays for each month. `next_renewal` is the first one without a bill, by the calendar of `zone`."""

    __tablename__ = "subscriptions"
    __table_args__ = (CheckConstraint("renews_on BETWEEN 1 AND 31", name="renews_on"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    plan: Mapped[str] = mapped_column(String(20))
    price_cents: Mapped[int]
    zone: Mapped[str] = mapped_column(String(64))
    renews_on: Mapped[int]
    next_renewal: Mapped[date] = mapped_column(index=True)
    charged_cents: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Bill(Base):
    """One renewal of one subscription; there can be no second one, whatever runs twice."""

    __tablename__ = "bills"
    __table_args__ = (UniqueConstraint("user_id", "period"), Index(None, "paid_at", "due_on"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("subscriptions.user_id"))
    period: Mapped[date]
    amount_cents: Mapped[int]
    due_on: Mapped[date]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    alerted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paid_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    subscription: Mapped[Subscription] = relationship()


outbox_table(Base.metadata)
effects = effect_table(Base.metadata)
