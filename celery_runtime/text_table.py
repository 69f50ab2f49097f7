"""Tables that people read in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def render(rows: Sequence[Mapping[str, Any]], width: int = 120) -> str:
    """`rows`, which have the same keys, below a line of these keys; a cell is cut off after `width` characters."""
    head = {name: name.replace("_", " ").upper() for name in rows[0]} if rows else {}
    table = [head, *({name: " ".join(str(row[name]).split())[:width] or "-" for name in head} for row in rows)]
    widths = {name: max(len(row[name]) for row in table) for name in head}
    return "\n".join("  ".join(row[name].ljust(widths[name]) for name in head).rstrip() for row in table)
