from __future__ import annotations

import pytest

from bench.__main__ import judge, table
from bench.drain import Measured


def runs(*rates):
    return [Measured(rate, 1.0) for rate in rates]


@pytest.mark.parametrize(
    ("blueprint", "ratio", "verdict"),
    [
        ((1700, 1800, 1750), 1.75, "reached"),
        ((1500, 1500, 1500), 1.5, "missed"),
        ((1000, 1700, 1900), None, "none: the runs differ too much"),
    ],
)
def test_a_ratio_of_medians_is_told_when_the_runs_agree(blueprint, ratio, verdict):
    figure = judge("redis", {"stock": runs(1000, 1000, 1100), "blueprint": runs(*blueprint)})

    assert (figure["ratio"], figure["verdict"]) == (ratio, verdict)
    assert figure["variants"]["stock"]["rate"] == 1000
    assert table("redis", figure)[-1].endswith(f"target 1.6: {verdict}")
