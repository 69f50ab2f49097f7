"""The verdict, and expected.toml, whose every entry must still be true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import report
from tests.conformance.cases import Case, Run
from tests.conformance.comparison import Comparison
from tests.conformance.expected import Differs, Expected, NotRun, read

FILE = "t/integration/test_redis.py"
TESTS = [f"{FILE}::test_priority[None]", f"{FILE}::test_restore::test_visible", f"{FILE}::test_prior"]


def test_nothing_that_fails_only_here_is_a_pass(capsys):
    assert report.show([compared(failing=[])], Expected((), ()), whole=True) == 0
    assert "No test fails with the runtime" in capsys.readouterr().out


def test_a_failure_of_the_runtime_is_named(capsys):
    assert report.show([compared(failing=TESTS[:1])], Expected((), ()), whole=True) == 1
    assert f"fails with the runtime only: {TESTS[0]}" in capsys.readouterr().out


@pytest.mark.parametrize("test", [f"{FILE}::test_priority", TESTS[0], FILE])
def test_an_expected_difference_is_told_with_its_reason(test, capsys):
    plan = Expected((), (Differs("kombu", "redis", test, "it reads the list itself"),))

    assert report.show([compared(failing=TESTS[:1])], plan, whole=True) == 0
    assert "it reads the list itself" in capsys.readouterr().out


@pytest.mark.parametrize("test", [f"{FILE}::test_prio", f"{FILE}::test_restore"])
def test_an_entry_covers_whole_names_only_and_a_stale_one_fails(test, capsys):
    plan = Expected((), (Differs("kombu", "redis", test, "why"),))

    assert report.show([compared(failing=TESTS[:1])], plan, whole=True) == 1
    assert "remove the entry" in capsys.readouterr().out


def test_an_entry_is_not_stale_when_its_test_was_not_chosen():
    plan = Expected((), (Differs("kombu", "redis", TESTS[1], "why"),))

    assert report.show([compared(failing=[])], plan, whole=False) == 0


def test_an_entry_that_races_may_pass():
    plan = Expected((), (Differs("kombu", "redis", TESTS[1], "why", races=True),))

    assert report.show([compared(failing=[])], plan, whole=True) == 0
    assert report.show([compared(failing=TESTS[1:2])], plan, whole=True) == 0


def test_every_skipped_test_is_listed_with_its_reason(capsys):
    skipped = Run({test: Case("skipped", "needs Sentinel") for test in TESTS})

    report.show([Comparison("kombu", "redis", TESTS, skipped, skipped)], Expected((), ()), whole=True)

    printed = capsys.readouterr().out
    assert "skipped: needs Sentinel" in printed
    assert all(test in printed for test in TESTS)


def test_no_test_at_all_is_not_a_pass():
    assert report.show([Comparison("kombu", "redis", [], Run(), Run())], Expected((), ()), whole=False) == 1


def test_files_are_left_out_per_broker_and_an_entry_for_none_is_an_error(tmp_path):
    folder = tmp_path / "t/integration"
    folder.mkdir(parents=True)
    for name in ("test_redis.py", "test_py_amqp.py", "common.py"):
        (folder / name).touch()
    plan = Expected((NotRun("kombu", FILE, "the other broker", "rabbitmq"),), ())

    assert plan.files("kombu", "redis", tmp_path) == ["t/integration/test_py_amqp.py", FILE]
    assert plan.files("kombu", "rabbitmq", tmp_path) == ["t/integration/test_py_amqp.py"]
    gone = Expected((NotRun("kombu", "t/integration/test_gone.py", "why"),), ())
    with pytest.raises(FileNotFoundError, match=r"kombu has no t/integration/test_gone\.py"):
        gone.files("kombu", "redis", tmp_path)


def test_the_file_that_is_shipped_is_valid_and_gives_every_reason():
    plan = read()

    assert all(entry.reason for entry in (*plan.not_run, *plan.differs))


def test_an_entry_without_a_reason_is_refused(tmp_path: Path):
    (tmp_path / "expected.toml").write_text('[[differs]]\nsuite = "kombu"\nbroker = "redis"\ntest = "t/x.py"\n')

    with pytest.raises(TypeError, match="reason"):
        read(tmp_path / "expected.toml")


def compared(failing):
    cases = {test: Case("passed") for test in TESTS}
    failed = cases | {test: Case("failed", "AssertionError") for test in failing}
    return Comparison("kombu", "redis", TESTS, Run(cases), Run(failed))
