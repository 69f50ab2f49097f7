"""When what is sent."""

from __future__ import annotations


def schedule(seconds: float, streams: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """When to send (seconds from the start) and how long to nap, in order of time, for streams of (rate, nap)."""
    return sorted((n / rate, length) for rate, length in streams for n in range(int(seconds * rate)))
