"""What a row found: its line in the table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """A line of the table. recovery: seconds; complaints: what the row expected and did not find."""

    row: int
    title: str
    broker: str
    celery: str
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    rerun: int = 0
    recovery: float | None = None
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self):
        return not self.complaints
