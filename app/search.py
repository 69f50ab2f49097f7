"""Posts by what they say and who wrote them.

PostgreSQL keeps `search_entries.words`, the text cut into words and reduced to their stems ("weaving" finds "weaves"),
and a GIN index over it; the text is the post's and its author's name, so that an entry must be written anew when either
changes. SQLite, which one developer has, looks for each word as it stands anywhere in the text, row by row, and puts
the newest first: right enough to try things, and too slow for many posts.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, column, func, or_, select
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Session

from app.db import insert
from app.models import Post, SearchEntry, User, now

WORDS: ColumnElement[str] = column("words", TSVECTOR)


def find(session: Session, words: str, limit: int) -> list[Post]:
    """The posts that `words` describe, the best first. "Quotes", `or` and `-word` mean what they usually do."""
    found = select(Post).join(SearchEntry, SearchEntry.post_id == Post.id).limit(limit)
    if session.get_bind().dialect.name == "postgresql":
        query = func.websearch_to_tsquery("english", words)  # it takes any text, where to_tsquery has a syntax
        found = found.where(WORDS.op("@@")(query)).order_by(func.ts_rank(WORDS, query).desc(), Post.published_at.desc())
    else:
        found = found.where(*(SearchEntry.text.icontains(word, autoescape=True) for word in words.split()))
        found = found.order_by(Post.published_at.desc())
    return list(session.scalars(found))


def index(session: Session, post_id: UUID) -> None:
    """Write the entry of a post as it is now; none for a post that is not published."""
    wanted = select(Post.body, User.name).join(User).where(Post.id == post_id, Post.published_at.is_not(None))
    # The author keeps this name until the entry is committed: a renaming that came between would be overwritten.
    post = session.execute(wanted.with_for_update(read=True, of=User)).one_or_none()
    if post is None:
        return
    new = insert(session, SearchEntry).values(post_id=post_id, text=f"{post.name}\n{post.body}", indexed_at=now())
    changed = {"text": new.excluded.text, "indexed_at": new.excluded.indexed_at}
    session.execute(new.on_conflict_do_update(index_elements=[SearchEntry.post_id], set_=changed))


def outdated(before: datetime | None) -> Select[tuple[UUID]]:
    """The published posts whose entries are missing, marked as outdated, or older than `before`."""
    old = SearchEntry.indexed_at.is_(None)  # as it is where there is no entry
    if before:
        old = or_(old, SearchEntry.indexed_at < before)
    return select(Post.id).outerjoin(SearchEntry).where(Post.published_at.is_not(None), old)
