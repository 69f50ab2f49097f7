"""What `make conformance` calls a difference, and what it only tells."""

from __future__ import annotations

import pytest

from tests.conformance.cases import Case, Run
from tests.conformance.comparison import Comparison

TEST = "t/integration/test_tasks.py::test_add"
PASSED, FAILED, SKIPPED = Case("passed"), Case("failed", "AssertionError"), Case("skipped", "no Redis")


def test_a_failure_with_the_runtime_only_is_a_difference():
    assert compared(PASSED, FAILED).differences() == [TEST]


def test_a_failure_that_stock_has_too_is_none():
    assert compared(FAILED, FAILED).differences() == []


def test_a_failure_that_stock_shows_in_a_repeat_is_none():
    found = compared(PASSED, FAILED, repeats=[(FAILED, FAILED)])

    assert found.differences() == []
    assert found.failures(TEST) == (1, 2)


def test_a_failure_that_no_repeat_shows_again_is_told_and_is_no_difference():
    found = compared(PASSED, FAILED, repeats=[(PASSED, PASSED), (PASSED, PASSED)])

    assert found.differences() == []
    assert found.failed() == [TEST]
    assert found.times_run(TEST) == 3


def test_a_failure_that_one_of_two_repeats_shows_again_is_a_difference():
    assert compared(PASSED, FAILED, repeats=[(PASSED, PASSED), (PASSED, FAILED)]).differences() == [TEST]


def test_a_test_that_only_the_runtime_skips_is_a_difference():
    assert compared(PASSED, SKIPPED).differences() == [TEST]
    assert compared(SKIPPED, SKIPPED).differences() == []


def test_a_test_that_the_runtime_never_got_to_is_a_difference():
    assert compared(PASSED, None).differences() == [TEST]


def test_a_test_that_stock_never_got_to_cannot_be_compared():
    assert compared(None, PASSED).unknown() == [TEST]
    assert compared(None, PASSED, repeats=[(PASSED, PASSED)]).unknown() == []


@pytest.mark.parametrize("outcome", ["passed", "xfailed"])
def test_nothing_is_said_about_what_passes_in_both(outcome):
    found = compared(Case(outcome), PASSED)

    assert found.failed() == found.differences() == found.unknown() == []


def compared(stock, blueprint, repeats=()):
    pairs = [(run(first), run(second)) for first, second in repeats]
    return Comparison("celery", "redis", [TEST], run(stock), run(blueprint), pairs)


def run(case):
    return Run({TEST: case} if case else {})
