"""A bound task that tells how far it is."""

from __future__ import annotations


def test_row_04_progress_rises_and_never_falls(story):
    shown = [answer["progress"] for answer in story.seen if answer["state"] == "PROGRESS"]
    percents = [progress["percent"] for progress in shown]

    assert percents and percents == sorted(percents)
    assert all(progress["percent"] == round(100 * progress["done"] / progress["total"]) for progress in shown)
    assert all(progress["step"] for progress in shown)
