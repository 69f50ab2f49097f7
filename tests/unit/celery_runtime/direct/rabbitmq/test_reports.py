"""What a child reports through shared memory."""

from __future__ import annotations

import pytest

from celery_runtime.direct.rabbitmq.reports import ROOM, Reports


def test_reports_are_read_once_and_in_their_order():
    reports = Reports()
    told = [(1, number, number / 8) for number in range(5)]
    assert all(reports.write(report) for report in told)
    assert list(reports.read()) == told
    assert list(reports.read()) == []


def test_a_full_one_takes_no_more_until_it_was_read_and_loses_none():
    reports, written, read = Reports(), 0, []
    for _ in range(3):
        while reports.write((2, written, 0.0)):
            written += 1
        read += [tag for _, tag, _ in reports.read()]
    assert read == list(range(written))
    assert written > 3 * 2000


@pytest.mark.parametrize("damage", [bytes(16), b"\xff" * 16, b"\0\0\0\7" * 4])
def test_one_that_its_child_wrote_over_is_told_of_once(damage):
    reports = Reports()
    reports.write((1, 1, 0.0))
    memory = reports._ring._ring
    memory[: len(damage)] = damage
    with pytest.raises(ValueError, match="a report has"):
        list(reports.read())
    reports.write((1, 2, 0.0))
    assert list(reports.read()) == [(1, 2, 0.0)]


def test_one_that_pretends_to_have_more_than_fits_is_told_of_once():
    reports = Reports()
    reports._ring._counts[0] = 10 * ROOM
    with pytest.raises(ValueError, match="than fit"):
        list(reports.read())
    assert list(reports.read()) == []
