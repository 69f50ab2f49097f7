from __future__ import annotations

from contextlib import suppress

import pytest

from app import storage


def test_what_is_put_can_be_had_replaced_and_removed(database):
    data = bytes(range(256)) * 1000
    with database.transaction() as session:
        storage.put(session, "a/original", b"first")
        storage.put(session, "b/original", b"other")
    with database.transaction() as session:
        storage.put(session, "a/original", data)
    with database.transaction() as session:
        assert storage.get(session, "a/original") == data
        storage.delete(session, "a/original")
        storage.delete(session, "a/original")
    with database.transaction() as session:
        assert storage.get(session, "b/original") == b"other"
        with pytest.raises(storage.BlobMissingError, match="'a/original'"):
            storage.get(session, "a/original")


def test_a_blob_is_committed_with_the_row_that_speaks_of_it(database):
    with suppress(RuntimeError), database.transaction() as session:
        storage.put(session, "a/original", b"bytes")
        raise RuntimeError
    with database.transaction() as session, pytest.raises(storage.BlobMissingError):
        storage.get(session, "a/original")
