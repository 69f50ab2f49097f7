"""What this browser started, newest first: a cookie of ids, so that the page can show their way to the end.

It proves nothing and gives no right: whoever knows an id may look at it anyway.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Self
from uuid import UUID

COOKIE = "started"
KEPT = 8  # entries; 80 bytes each
DAY = 86_400  # seconds: as long as results are kept


class Started(NamedTuple):
    """A picture with the task that its upload started, or a post."""

    kind: Literal["picture", "post"]
    id: UUID
    task: UUID | None = None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None for what is no entry: anybody may write a cookie."""
        kind, _, ids = text.partition(".")
        try:
            found = [UUID(part) for part in ids.split(".")]
        except ValueError:
            return None
        return cls(kind, *found) if (kind, len(found)) in {("picture", 2), ("post", 1)} else None  # type: ignore[arg-type]

    def __str__(self) -> str:
        return ".".join(str(part) for part in self if part)


def read(cookie: str) -> list[Started]:
    """The entries of a cookie; what is damaged is left out."""
    return [entry for text in cookie.split("~")[:KEPT] if (entry := Started.read(text))]


def written(entries: Sequence[Started]) -> str:
    """The cookie of the newest entries."""
    return "~".join(str(entry) for entry in entries[:KEPT])
