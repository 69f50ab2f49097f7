"""Medians and spreads of repeated measurements, and ratios that are only told when they mean something."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH = 2  # runs; one alone has no spread
MANY = 5  # runs from which on a single one does not make the spread: more of them must not tell less


@dataclass(frozen=True)
class Summary:
    """The median of some runs, and how far they lie apart, as a share of it; None for a single run.

    That is the distance from the lowest to the highest, of five runs or more that between the quartiles.
    """

    median: float
    spread: float | None


def summary(values: Sequence[float]) -> Summary:
    """Raises ValueError without values."""
    if not values:
        raise ValueError("there is no run to summarise")
    median = statistics.median(values)
    if len(values) < ENOUGH:
        return Summary(median, None)
    width = _width(values)
    return Summary(median, width / abs(median) if median else (0.0 if not width else math.inf))


def _width(values: Sequence[float]) -> float:
    if len(values) < MANY:
        return max(values) - min(values)
    lower, _, upper = statistics.quantiles(values, method="inclusive")
    return upper - lower


def ratio(values: Sequence[float], base: Sequence[float]) -> Summary:
    """Of each round's two runs, which stood next to each other; a round that only one of them has does not count."""
    pairs = [(value, of) for value, of in zip(values, base, strict=False) if of]
    return summary([value / of for value, of in pairs])


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank). Raises ValueError without values."""
    if not values:
        raise ValueError("there is no value to rank")
    rank = max(math.ceil(len(values) * percent / 100), 1)
    return sorted(values)[rank - 1]
