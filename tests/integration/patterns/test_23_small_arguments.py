"""Ids travel, objects stay."""

from __future__ import annotations

import pytest


def test_row_23_arguments_above_64_kib_are_refused_where_they_are_published(send):
    with pytest.raises(AssertionError, match=r"announce_post have 65\.\d KiB, more than the 64 KiB allowed") as refused:
        send("app.tasks.notices.announce_post", "x" * 66_560)
    assert "Store what is large, pass its id" in str(refused.value)
