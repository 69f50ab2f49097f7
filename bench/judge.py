"""Hold what was measured against the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.spread import Summary, ratio, summary
from bench.targets import LEAST, NEVER, Target

MAX_SPREAD = 0.25  # (highest - lowest) / median of the rounds; above it there is no verdict
MAX_SPREAD_OF_TAILS = 0.5  # of p95 and p99: a few tasks decide them
# broker, scenario, variant, metric -> one figure for each round
Measured = dict[str, dict[str, dict[str, dict[str, list[float]]]]]


@dataclass(frozen=True)
class Verdict:
    """`result`: reached, missed, none (the rounds differ too much) or not measured."""

    target: Target
    result: str
    value: float | None = None
    spread: float | None = None


def judge(target: Target, figures: Measured) -> Verdict:
    """A verdict without a value is none: the ratio is not told where it means nothing."""
    variants = figures.get(target.broker, {}).get(target.scenario, {})
    values = variants.get(target.variant, {}).get(target.metric, [])
    base = variants.get(target.against, {}).get(target.base_metric, [])
    if not values or (target.against and not base):
        return Verdict(target, "not measured")
    found = _worst(values) if target.kind == NEVER else ratio(values, base) if target.against else summary(values)
    if target.kind != NEVER and not steady(found, target.metric):
        reason = "one round only" if found.spread is None else "the rounds differ too much"
        return Verdict(target, f"none: {reason}", None, found.spread)
    reached = found.median >= target.bound if target.kind == LEAST else found.median <= target.bound
    return Verdict(target, "reached" if reached else "missed", found.median, found.spread)


def steady(found: Summary, metric: str) -> bool:
    """Whether the rounds agree well enough for their median to be told as a ratio."""
    limit = MAX_SPREAD_OF_TAILS if metric.startswith(("p95", "p99")) else MAX_SPREAD
    return found.spread is not None and found.spread <= limit


def _worst(values: Sequence[float]) -> Summary:
    return Summary(max(values), None)
