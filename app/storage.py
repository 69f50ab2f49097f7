"""Where pictures are kept: today a table, so that API and workers need no shared volume on any platform.

For object storage rewrite this file: put, get and delete are all that the app knows of it. The session is there so
that a blob and the row that speaks of it are committed together; an object store leaves it unused.
"""

from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from app.models import Blob


class BlobMissingError(LookupError):
    """Nothing is stored under the key."""


def put(session: Session, key: str, data: bytes) -> None:
    """Store `data` under `key` (at most 100 characters), in place of what is there."""
    session.merge(Blob(key=key, data=data))


def get(session: Session, key: str) -> bytes:
    """Return what is stored under `key`. Raises BlobMissingError."""
    blob = session.get(Blob, key)
    if blob is None:
        raise BlobMissingError(f"nothing is stored under {key!r}")
    return blob.data


def delete(session: Session, key: str) -> None:
    """Remove `key`; one that isn't there is no error."""
    session.execute(delete_rows(Blob).where(Blob.key == key))
