"""expected.toml, read: which of their tests are not run, which may differ, and why."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("expected.toml")


@dataclass(frozen=True)
class NotRun:
    """A file or folder of theirs that is left out, on one broker or on both."""

    suite: str
    file: str
    reason: str
    broker: str = ""


@dataclass(frozen=True)
class Differs:
    """A test, a class or a file of theirs (the start of a node id) that fails here and not with stock Celery.

    races: it fails or not by who is faster, the test or the worker.
    """

    suite: str
    broker: str
    test: str
    reason: str
    races: bool = False

    def covers(self, test: str) -> bool:
        return test == self.test or test.startswith((f"{self.test}::", f"{self.test}["))


@dataclass(frozen=True)
class Expected:
    not_run: tuple[NotRun, ...]
    differs: tuple[Differs, ...]

    def entries(self, suite: str, broker: str) -> list[Differs]:
        return [entry for entry in self.differs if (entry.suite, entry.broker) == (suite, broker)]

    def covers(self, suite: str, broker: str, test: str) -> bool:
        return any(entry.covers(test) for entry in self.entries(suite, broker))

    def files(self, suite: str, broker: str, sources: Path) -> list[str]:
        """Return the files of integration tests to run; raises FileNotFoundError for an entry that names none."""
        out = [entry for entry in self.not_run if entry.suite == suite]
        for entry in out:
            if not (sources / entry.file).exists():
                raise FileNotFoundError(f"{FILE.name}: {suite} has no {entry.file}; remove the entry")
        left_out = {entry.file for entry in out if entry.broker in {"", broker}}
        found = sorted(str(path.relative_to(sources)) for path in sources.glob("t/integration/test_*.py"))
        return [file for file in found if file not in left_out]


def read(file: Path = FILE) -> Expected:
    """Raises TypeError for a field that is missing or unknown."""
    content = tomllib.loads(file.read_text())
    return Expected(
        tuple(NotRun(**entry) for entry in content.get("not_run", [])),
        tuple(Differs(**entry) for entry in content.get("differs", [])),
    )
