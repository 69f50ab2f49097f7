"""The walk through the rows against answers from a table; the whole of it runs on the real stack."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.smoke.__main__ import PHOTO, main
from app.smoke.rows import ROWS
from tests.unit.standins.fake_stack import FakeStack

DOCS = (Path(__file__).parents[3] / "docs/patterns.md").read_text()
PART = {"ok": True, "seconds": 0.01}
QUEUES = {"media": {"ok": True, "consumers": 2, "waiting": 0, "dead_letters": 3}}
HEALTH = {"status": "degraded", "problems": ["queue media: dead letters: 3"], "queues": QUEUES}
HEALTH |= {"broker": PART, "results": PART, "database": PART, "beat": PART | {"last_tick_seconds": 2.4}}


@pytest.fixture
def walk(capsys):
    """Walks through rows against answers; returns the exit code, what was said and the complaint."""

    def run(rows, **answers):
        known = {"GET /healthz": {"status": "ok"}, "GET /healthz?deep=1": HEALTH, "GET /openapi.json": {"paths": {}}}
        with FakeStack(known | answers) as stack:
            code = main(["--rows", rows, "--api", stack.url, "--mail", stack.url, "--timeout", "2"])
        return code, *capsys.readouterr()

    return run


def test_each_row_is_one_line(walk):
    code, out, err = walk("16,28,30")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[:-1]] == [["row", "16"], ["row", "28"], ["row", "30"]]
    assert "media 2" in out and "3 parked" in out and "degraded" in out


def test_a_row_that_this_app_lacks_is_skipped_with_a_word(walk):
    code, out, _ = walk("18")
    assert code == 0 and "skipped: this app has no GET /schedule" in out


def test_a_row_that_fails_is_named_with_the_reason(walk):
    code, _, err = walk("30", **{"GET /healthz?deep=1": (503, HEALTH | {"status": "failing", "problems": ["beat"]})})
    assert code == 1
    assert err == "FAILED    row 30, deep health: the system is failing: beat.\n"


def test_an_answer_of_another_form_is_a_failure_with_a_reason(walk):
    code, _, err = walk("16", **{"GET /healthz?deep=1": {"status": "ok"}})
    assert (
        code == 1
        and err == "FAILED    row 16, workers per queue: an answer lacks what it should have: KeyError('queues')\n"
    )


@pytest.mark.parametrize("rows", ["99", "1,x", ""])
def test_a_row_that_there_is_not_is_refused(rows, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--rows", rows])
    assert ended.value.code == 2
    assert "is no row with an API; those are 1, 2, " in capsys.readouterr().err


def test_every_step_is_a_row_of_the_table_and_none_comes_twice():
    rows = [step.row for step in ROWS]
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(re.findall(r"^\| (\d+) \|", DOCS, re.MULTILINE))
    assert PHOTO.exists()
