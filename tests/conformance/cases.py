"""What sessions of their tests came to, read from pytest's JUnit reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

Outcome = Literal["passed", "xfailed", "skipped", "failed", "missing"]
GRAVITY: tuple[Outcome, ...] = ("passed", "xfailed", "skipped", "failed", "missing")


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
    """Cases by pytest's node id; `again` are those that passed after the re-runs that their own mark asks for."""

    cases: dict[str, Case] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Run) -> None:
        self.cases |= other.cases
        self.again += other.again
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
        test, case = names[element.get("classname", ""), element.get("name", "")], _case(element)
        # A test and its clean-up, or its subtests, are an element each.
        cases[test] = max(case, cases.get(test, case), key=lambda each: GRAVITY.index(each.outcome))
    return cases


def read_reruns(log: str, cases: dict[str, Case]) -> list[str]:
    """Return the tests that passed, but not at once, from pytest's verbose output."""
    tests = sorted(set(re.findall(r"^(t/.+?) RERUN\b", log, re.MULTILINE)))
    return [test for test in tests if test in cases and not cases[test].failed]


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
