"""What a real report of pytest is read as."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conformance.cases import read_report

THEIRS = """
import pytest

class Base:
    def test_inherited(self):
        pass

class TestMore(Base):
    @pytest.mark.parametrize("url", ["redis://[::1]:6379", "a.b"])
    def test_parametrized(self, url):
        assert "a.b" not in url, "why"

@pytest.fixture
def torn():
    yield
    raise OSError("while cleaning up")

def test_torn(torn):
    pass

def test_failed_and_torn(torn):
    assert False, "before the clean-up"

def test_skipped():
    pytest.skip("no broker")

@pytest.mark.xfail(reason="known", strict=True)
def test_expected_to_fail():
    assert False

@pytest.mark.xfail(strict=True)
def test_better_than_expected():
    pass
"""
FILE = "t/integration/test_theirs.py"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_text(THEIRS)
    for package in ("t", "t/integration"):
        (folder / package / "__init__.py").touch()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), FILE]
    (folder / "pytest.ini").write_text("[pytest]\n")
    subprocess.run([*command, f"--junitxml={folder / 'report.xml'}"], cwd=folder, capture_output=True, check=False)
    return folder / "report.xml"


@pytest.mark.parametrize(
    ("name", "outcome", "why"),
    [
        ("TestMore::test_inherited", "passed", ""),
        ("TestMore::test_parametrized[redis://[::1]:6379]", "passed", ""),
        ("TestMore::test_parametrized[a.b]", "failed", "AssertionError: why"),
        ("test_torn", "failed", "while cleaning up"),
        ("test_skipped", "skipped", "no broker"),
        ("test_failed_and_torn", "failed", "before the clean-up"),
        ("test_expected_to_fail", "xfailed", "known"),
        ("test_better_than_expected", "failed", "XPASS(strict)"),
    ],
)
def test_each_outcome_is_read_under_its_node_id(report, name, outcome, why):
    test = f"{FILE}::{name}"
    case = read_report(report, [test])[test]

    assert case.outcome == outcome
    assert why in case.why


def test_a_session_that_was_cut_off_has_no_cases(tmp_path):
    (tmp_path / "cut.xml").write_text("<testsuites><testsuite")

    assert read_report(tmp_path / "cut.xml", ["t/x.py::test"]) == {}
    assert read_report(tmp_path / "absent.xml", ["t/x.py::test"]) == {}
