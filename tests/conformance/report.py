"""What a person reads at the end of `make conformance`, and the verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.conformance.cases import Run
from tests.conformance.comparison import Comparison
from tests.conformance.expected import Expected

COLUMNS = ("passed", "failed", "missing", "skipped", "xfailed")


def show(comparisons: list[Comparison], plan: Expected, *, whole: bool) -> int:
    """Print the table, everything that was left out and everything that failed; returns the exit code."""
    _table(comparisons)
    _left_out(comparisons, plan)
    _explained(comparisons, plan)
    _facts(comparisons, plan)
    bad = list(_verdict(comparisons, plan, whole=whole))
    print("\n" + "\n".join(bad or ["No test fails with the runtime that passes with stock Celery on the same broker."]))
    return 1 if bad else 0


def _table(comparisons: list[Comparison]) -> None:
    print(f"\n{'suite':8}{'broker':10}{'flavour':10}" + "".join(f"{name:>9}" for name in (*COLUMNS, "seconds")))
    for found in comparisons:
        for flavour, run in (("stock", found.stock), ("blueprint", found.blueprint)):
            counts = [sum(run[test].outcome == name for test in found.tests) for name in COLUMNS]
            numbers = "".join(f"{number:9}" for number in (*counts, round(run.seconds)))
            print(f"{found.suite:8}{found.broker:10}{flavour:10}{numbers}")


def _left_out(comparisons: list[Comparison], plan: Expected) -> None:
    suites = {(found.suite, found.broker) for found in comparisons}
    print("\nNot run:")
    for entry in plan.not_run:
        if any(entry.suite == suite and entry.broker in {"", broker} for suite, broker in suites):
            where = f" on {entry.broker}" if entry.broker else ""
            print(f"  {entry.suite}{where}: {entry.file}: {entry.reason}")
    for found in comparisons:
        for outcome, title in (("skipped", "skipped"), ("xfailed", "expected to fail by its author")):
            for why, tests in _by_reason(found.tests, found.blueprint, outcome):
                print(f"  {found.suite} on {found.broker}, {title}: {why or 'no reason given'}")
                print("".join(f"    {test}\n" for test in tests), end="")


def _by_reason(tests: list[str], run: Run, outcome: str) -> Iterable[tuple[str, list[str]]]:
    reasons = defaultdict(list)
    for test in tests:
        if run[test].outcome == outcome:
            reasons[run[test].why].append(test)
    return reasons.items()


def _explained(comparisons: list[Comparison], plan: Expected) -> None:
    print("\nFails with the runtime only, as expected.toml says:")
    for found in comparisons:
        for entry in plan.entries(found.suite, found.broker):
            if tests := [test for test in found.differences() if entry.covers(test)]:
                print(f"  {found.suite} on {found.broker}: {entry.reason}")
                print("".join(f"    {test}\n" for test in tests), end="")


def _facts(comparisons: list[Comparison], plan: Expected) -> None:
    """Tell whatever else failed even once, in either flavour."""
    print("\nFailed otherwise, even once:")
    for found in comparisons:
        for test in found.failed():
            if not plan.covers(found.suite, found.broker, test):
                stock, blueprint = found.failures(test)
                why = (found.blueprint[test].why or found.stock[test].why)[:160]
                times = f"of {found.times_run(test)} runs stock {stock}, blueprint {blueprint}"
                print(f"  {found.suite} on {found.broker}: {test}\n    {times}: {why}")


def _verdict(comparisons: list[Comparison], plan: Expected, *, whole: bool) -> Iterable[str]:
    if not any(found.tests for found in comparisons):
        yield "No test was chosen.\n  Look at -k and --suite."
    for found in comparisons:
        for test in found.unknown():
            yield f"{found.suite} on {found.broker}: no outcome with stock Celery: {test}"
        differences = found.differences()
        for test in differences:
            if not plan.covers(found.suite, found.broker, test):
                yield f"{found.suite} on {found.broker}: fails with the runtime only: {test}"
        for entry in plan.entries(found.suite, found.broker):
            if whole and not entry.races and not any(entry.covers(test) for test in differences):
                yield f"expected.toml: {entry.test} on {found.broker} does not differ any more; remove the entry."
