from __future__ import annotations

import pytest

from bench.spread import percentile, ratio, summary


def test_the_median_comes_with_the_distance_from_the_lowest_to_the_highest_run():
    found = summary([90, 100, 130])

    assert (found.median, found.spread) == (100, 0.4)


def test_of_many_runs_the_quarters_at_either_end_do_not_count():
    found = summary([1, 90, 100, 110, 900])

    assert (found.median, found.spread) == (100, 0.2)


def test_one_run_has_no_spread():
    assert summary([7]).spread is None


def test_nothing_at_all_has_no_median():
    with pytest.raises(ValueError, match="no run"):
        summary([])


def test_runs_without_any_difference_have_no_spread_even_at_zero():
    assert summary([0, 0]).spread == 0
    assert summary([-1, 0, 1]).spread == float("inf")


def test_a_ratio_is_that_of_runs_next_to_each_other():
    # The machine was half as fast in the second round, for both: the ratio does not differ.
    found = ratio([200, 100, 200], [100, 50, 100])

    assert (found.median, found.spread) == (2, 0)


def test_a_round_that_only_one_of_them_has_does_not_count():
    assert ratio([2, 4, 900], [1, 2]).median == 2


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent, value):
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_the_percentile_of_few_values_is_not_below_their_share():
    assert percentile([1, 2, 3], 50) == 2
    assert percentile([1, 2, 3], 67) == 3
