"""Likes wait in Redis, because a row that thousands of people write at the same time would hold them all up.

    likes:waiting   hash   post -> likes that nobody has counted yet, and `batch` -> the id of this hash
    likes:taken     hash   the same hash, renamed by the flush that writes it into the database

A batch has its id from its first like on, and the database notes the id in the transaction that adds its likes. So a
flush may be killed anywhere, and two may run together: a batch is added once, and whoever reads knows of each batch
whether it is among the stored likes already. A Redis that is killed may lose its last second of likes, and bring back a
batch that was added; the likes that then go into that one are not counted.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID, uuid4

from redis import Redis
from redis.exceptions import ResponseError
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.celery import app
from app.models import PostLikes, effects

WAITING, TAKEN = "likes:waiting", "likes:taken"
BATCH = "batch"
# KEYS: the hash. ARGV: the batch that it must be. A slow flush must not remove the batch that follows its own.
DROP = "if redis.call('HGET', KEYS[1], 'batch') == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class Batch(NamedTuple):
    id: str
    counts: dict[str, int]  # by the post's id

    @property
    def effect(self) -> str:
        """The name under which the database notes that it has the batch."""
        return f"likes {self.id}"


def client() -> Redis:
    """Where the likes wait: the store of results, whatever the broker is."""
    found: Redis = app.backend.client
    return found


def add(post_id: UUID) -> None:
    """Count one like. Raises redis-py's errors."""
    with client().pipeline() as pipe:
        pipe.hsetnx(WAITING, BATCH, uuid4().hex)
        pipe.hincrby(WAITING, str(post_id), 1)
        pipe.execute()


def take() -> Batch | None:
    """The batch that a flush which was killed had taken; or else take what waits, in one step. None: there is none."""
    try:
        client().renamenx(WAITING, TAKEN)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
    return _batch(client().hgetall(TAKEN))


def drop(batch: Batch) -> None:
    """Forget a batch that the database has."""
    client().eval(DROP, 1, TAKEN, batch.id)


def waiting(post_ids: Iterable[UUID]) -> list[Batch]:
    """What Redis has of the likes of these posts, at one moment. Raises redis-py's errors."""
    fields = [BATCH, *map(str, post_ids)]
    with client().pipeline() as pipe:
        for key in (WAITING, TAKEN):
            pipe.hmget(key, fields)
        answers = pipe.execute()
    found = [{field: value for field, value in zip(fields, answer, strict=True) if value} for answer in answers]
    return [batch for answer in found if (batch := _batch(answer))]


def total(session: Session, post_ids: Sequence[UUID], batches: Sequence[Batch]) -> dict[UUID, int]:
    """The likes of each post: those stored, and those of `batches`, read before, that are not among them yet."""
    # In one statement: a batch that is added between two would count twice, or not at all.
    added = [exists().where(effects.c.key == batch.effect) for batch in batches]
    rows = session.execute(select(PostLikes.post_id, PostLikes.count, *added).where(PostLikes.post_id.in_(post_ids)))
    stored = {post_id: (count, done) for post_id, count, *done in rows}
    return {post_id: _sum(str(post_id), *stored.get(post_id, (0, [False, False])), batches) for post_id in post_ids}


def _sum(post: str, count: int, done: Sequence[bool], batches: Sequence[Batch]) -> int:
    return count + sum(batch.counts.get(post, 0) for batch, added in zip(batches, done, strict=False) if not added)


def _batch(answer: dict[bytes, bytes]) -> Batch | None:
    found = {_text(field): _text(value) for field, value in answer.items()}
    if BATCH not in found:
        return None
    return Batch(found.pop(BATCH), {post: int(count) for post, count in found.items()})


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
