"""Numbers with their units, as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

Scale = Sequence[tuple[float, str]]
TIMES: Scale = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"), (0.001, "ms"))
SIZES: Scale = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
COUNTS: Scale = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """unit: one of Grafana's that our panels have."""
    if not math.isfinite(value):
        return "-"
    match unit:
        case "percentunit":
            return f"{value * 100:.{decimals or 0}f} %"
        case "s":
            return _scaled(value, TIMES)
        case "bytes":
            return _scaled(value, SIZES)
        case "ops":
            return f"{_scaled(value, COUNTS)}/s"
        case _:
            return _scaled(value, COUNTS)


def _scaled(value: float, scale: Scale) -> str:
    factor, name = next((step for step in scale if abs(value) >= step[0]), scale[-1])
    if value == 0:
        factor, name = next(step for step in scale if step[0] == 1)
    number = f"{value / factor:.3g}" if factor <= 1 else f"{value / factor:.1f}".removesuffix(".0")
    return f"{number} {name}".strip()
