"""What sessions of their tests came to, read from pytest's JUnit reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

Outcome = Literal["passed", "xfailed", "skipped", "failed", "missing"]


@dataclass(frozen=True)
class Case:
    """One test: its outcome, and for all but `passed` the first line of why."""

    outcome: Outcome
    why: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome in {"failed", "missing"}


MISSING = Case("missing", "it has no outcome: its session ended before")


@dataclass
class Run:
    """Cases by pytest's node id."""

    cases: dict[str, Case] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, other: Run) -> None:
        self.cases |= other.cases
        self.seconds += other.seconds

    def __getitem__(self, test: str) -> Case:
        return self.cases.get(test, MISSING)


def read_report(report: Path, tests: Iterable[str]) -> dict[str, Case]:
    """Return the cases of those `tests` that the report tells of; one that is missing or cut off has none."""
    cases: dict[str, Case] = {}
    names = {_junit_name(test): test for test in tests}
    try:
        elements = list(ET.parse(report).iter("testcase"))  # noqa: S314  written by pytest just now
    except (FileNotFoundError, ET.ParseError):
        return cases
    for element in elements:
        test = names.get((element.get("classname", ""), element.get("name", "")))
        if test:
            cases.setdefault(test, _case(element))  # a failed test whose clean-up fails too has a second element
    return cases


def _junit_name(test: str) -> tuple[str, str]:
    """Return what a node id is called in the report: its module and class, and its name."""
    path, bracket, parameters = test.partition("[")
    file, *classes, name = path.split("::")
    return ".".join([file.removesuffix(".py").replace("/", "."), *classes]), name + bracket + parameters


def _case(element: ET.Element) -> Case:
    for tag in ("failure", "error", "skipped"):
        found = element.find(tag)
        if found is None:
            continue
        why = (found.get("message") or "").strip().split("\n")[0]
        if tag != "skipped":
            return Case("failed", why)
        return Case("xfailed" if found.get("type") == "pytest.xfail" else "skipped", why)
    return Case("passed")
