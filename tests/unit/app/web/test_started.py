from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.web.started import KEPT, Started, read, written


def test_what_was_written_is_read_newest_first_and_the_oldest_are_forgotten():
    entries = [Started("picture", uuid4(), uuid4()), *(Started("post", uuid4()) for _ in range(KEPT))]
    cookie = written(entries)
    assert read(cookie) == entries[:KEPT]
    assert cookie.count("~") == KEPT - 1 and len(cookie) < 4096
    assert all(letter not in cookie for letter in ' ",;\\')  # a browser keeps it as it is


@pytest.mark.parametrize(
    "cookie", ["", "~", "post", "post.1", "picture.x.y", f"post.{UUID(int=1)}.{UUID(int=2)}", "\x00", "é" * 9]
)
def test_what_anybody_else_wrote_is_left_out(cookie):
    entry = Started("post", uuid4())
    assert read(cookie) == []
    assert read(f"{cookie}~{entry}") == [entry]
