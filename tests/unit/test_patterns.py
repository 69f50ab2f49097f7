"""docs/patterns.md names files, tests and requests: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.api.main import create

ROOT = Path(__file__).parents[2]
TABLE = [line for line in (ROOT / "docs/patterns.md").read_text().splitlines() if re.match(r"\| \d", line)]
ROWS = {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split(" | ")] for line in TABLE)}
NOT_YET = {"33", "35"}
VERBS = {"test-unit", "test-integration", *re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}
REQUEST = re.compile(r"`(get|post) '?(/[^ '`?]*)")
PLACEHOLDER = re.compile(r"[A-Z_]+|(?<=/schedule/)[a-z-]+|(?<=/faults/)[a-z_]+")


def test_every_row_is_there_once():
    assert len(TABLE) == len(ROWS)
    assert list(ROWS) == [str(number) for number in range(1, 36)]


@pytest.mark.parametrize("row", [row for row in ROWS if row not in NOT_YET])
def test_what_a_row_names_exists(row):
    pattern, files, trial, tests = ROWS[row]
    assert pattern and trial
    for cell in (files, tests):
        named = re.findall(r"`([^`]+)`", cell)
        assert named, cell
        for name in named:
            path, _, test = name.partition("::")
            assert (ROOT / path).exists(), path
            assert not test or f"def {test}(" in (ROOT / path).read_text(), name


@pytest.mark.parametrize("row", [row for row in ROWS if row not in NOT_YET])
def test_a_row_is_proven_by_a_test_of_its_name(row):
    paths = re.findall(r"`(tests/(?:integration/patterns|systemd)/[^`:]+)", ROWS[row][-1])
    assert any(f"def test_row_{row:0>2}_" in (ROOT / path).read_text() for path in paths), paths


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_asks_for_is_an_operation_of_the_api(row):
    offered = {re.sub(r"\{\w+\}", "X", path): set(methods) for path, methods in create().openapi()["paths"].items()}
    offered["/metrics"] = {"get"}
    for method, path in REQUEST.findall(" ".join(ROWS[row])):
        assert method in offered.get(PLACEHOLDER.sub("X", path), ()), f"{method} {path}"


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_makes_is_a_verb(row):
    for verb in re.findall(r"`make ([a-z-]+)", " ".join(ROWS[row])):
        assert verb in VERBS, verb
