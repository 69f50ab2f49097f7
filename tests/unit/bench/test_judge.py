from __future__ import annotations

import pytest

from bench.judge import judge
from bench.targets import LEAST, MOST, NEVER, TARGETS, Target


def target(kind, bound, metric="rate", against="stock", base_metric=None):
    return Target("what", "redis", "drain", "prefork", metric, against, base_metric or metric, kind, bound)


def figures(prefork, stock=(1000, 1000, 1100), metric="rate", base_metric=None):
    variants = {"prefork": {metric: list(prefork)}, "stock": {base_metric or metric: list(stock)}}
    return {"redis": {"drain": variants}}


@pytest.mark.parametrize(
    ("runs", "ratio", "result"),
    [
        ((1700, 1800, 1900), 1.73, "reached"),
        ((1500, 1500, 1500), 1.5, "missed"),
        ((1000, 1700, 1900), None, "none: the rounds differ too much"),
        ((1900,), None, "none: one round only"),
        ((), None, "not measured"),
    ],
)
def test_a_ratio_is_told_when_the_rounds_agree(runs, ratio, result):
    verdict = judge(target(LEAST, 1.7), figures(runs))

    assert verdict.result == result
    assert verdict.value == (ratio and pytest.approx(ratio, abs=0.01))


def test_what_it_is_held_against_must_be_measured_too():
    assert judge(target(LEAST, 1.7), figures((1700, 1800), stock=())).result == "not measured"


@pytest.mark.parametrize(("bound", "result"), [(0.8, "reached"), (0.7, "missed")])
def test_a_figure_as_such_must_stay_below_its_bound(bound, result):
    measured = figures((0.75, 0.76), metric="cpu_ms")

    assert judge(target(MOST, bound, "cpu_ms", against=""), measured).result == result


def test_tails_may_differ_more_than_rates():
    runs, stock = (10, 12, 14), (20, 20, 20)
    rates = judge(target(MOST, 1, "rate"), figures(runs, stock))
    tails = judge(target(MOST, 1, "p99_400"), figures(runs, stock, "p99_400"))

    assert (rates.result, tails.result) == ("none: the rounds differ too much", "reached")


@pytest.mark.parametrize(("seconds", "result"), [((0.2, 0.3, 3.9), "reached"), ((0.2, 0.3, 4.1), "missed")])
def test_where_no_run_may_be_above_the_longest_counts(seconds, result):
    verdict = judge(target(NEVER, 4, "seconds", against=""), figures(seconds, metric="seconds"))

    assert (verdict.result, verdict.value) == (result, max(seconds))


def test_a_batch_is_held_against_another_metric():
    measured = figures((3100, 3200), (1000, 1000), "batch", "delay")

    assert judge(target(LEAST, 3, "batch", base_metric="delay"), measured).value == pytest.approx(3.15)


def test_each_target_is_there_once_and_its_variants_are_measured():
    from bench.scenarios.registry import SCENARIOS

    measured = {each.name: {variant.name for variant in each.variants} for each in SCENARIOS}
    keys = [(each.broker, each.scenario, each.variant, each.metric, each.against) for each in TARGETS]

    assert len(set(keys)) == len(keys)
    for each in TARGETS:
        assert {each.variant, each.against} - {""} <= measured[each.scenario]
