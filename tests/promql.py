"""What names a PromQL expression uses, as far as our own expressions go."""

from __future__ import annotations

import re

WORDS = {"and", "or", "unless", "offset", "bool"}
GROUPING = r"\b(?:by|on|without|ignoring|group_left|group_right) ?\(([^)]*)\)"


def metrics(expr: str) -> set[str]:
    """The metrics: words that are no function, keyword, label or text."""
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(rf"\{{[^}}]*\}}|{GROUPING}|\[[^\]]*\]|\b\d+[smhd]\b", "", bare)
    return set(re.findall(r"\b[A-Za-z_:][\w:]*\b(?!\s*\()", bare)) - WORDS


def labels(expr: str) -> set[str]:
    """The labels that it selects and groups by; not those that `label_replace` makes."""
    made = set(re.findall(r', "(\w+)", "[^"]*", "\w*", "', expr))
    bare = re.sub(r'"[^"]*"', "", expr)
    chosen = {name for selector in re.findall(r"\{([^}]*)\}", bare) for name in re.findall(r"(\w+)\s*[=!]", selector)}
    grouped = {name.strip() for names in re.findall(GROUPING, bare) for name in names.split(",") if name.strip()}
    return (chosen | grouped) - made
