"""What is wrong with an app, and how it is said."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Severity(StrEnum):
    ERROR = "error"  # it cannot work, or loses work
    WARNING = "warning"  # it works, with a guarantee less


@dataclass(frozen=True)
class Finding:
    """rule: a name for programs. where: "FILE:LINE" below the current folder if it is there, "" where nobody knows."""

    severity: Severity
    rule: str
    text: str
    remedy: str
    where: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.severity}: {self.text} [{self.rule}]\n  {self.remedy}"


def place_of_task(task: Any) -> str:
    """Where the code of a task begins; "" for one that has no source."""
    run = getattr(task, "_orig_run", task.run)  # Celery wraps tasks with `autoretry_for`
    written = type(task) if "run" in vars(type(task)) and not hasattr(task, "__wrapped__") else run
    return place_of(getattr(task, "__wrapped__", written))


def place_of(code: Any) -> str:
    """Where a function or a class begins; "" for one that has no source."""
    code = inspect.unwrap(getattr(code, "__func__", code))
    if hasattr(code, "__code__"):
        return place(code.__code__.co_filename, code.__code__.co_firstlineno)
    try:
        return place(inspect.getsourcefile(code) or "", inspect.getsourcelines(code)[1])
    except (OSError, TypeError):
        return ""


def place(file: str, line: int) -> str:
    path = Path(file)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line}" if file else ""
