from __future__ import annotations

import pytest

from bench.schedule import schedule


def test_streams_are_sent_side_by_side():
    assert schedule(1, [(4, 0.01), (2, 1.0)]) == [
        (0, 0.01),
        (0, 1.0),
        (0.25, 0.01),
        (0.5, 0.01),
        (0.5, 1.0),
        (0.75, 0.01),
    ]


def test_a_stream_keeps_its_rate():
    times = [due for due, _ in schedule(2.5, [(400, 0)])]

    assert len(times) == 1000
    assert times[-1] == pytest.approx(2.4975)
