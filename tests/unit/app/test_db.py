from __future__ import annotations

import os
from contextlib import suppress
from threading import Thread
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app import db
from app.models import Post, User


def test_a_transaction_commits_at_its_end_and_rolls_back_on_an_error(database):
    with database.transaction() as session:
        session.add(User(email="ada@example.org", name="Ada"))
    with suppress(RuntimeError), database.transaction() as session:
        session.add(User(email="bob@example.org", name="Bob"))
        session.flush()
        raise RuntimeError
    with database.transaction() as session:
        assert [user.email for user in session.query(User)] == ["ada@example.org"]


def test_sqlite_checks_foreign_keys(database):
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(Post(user_id=uuid4(), body="from nobody"))


def test_writers_wait_for_each_other(database):
    """Each reads, then writes what it read plus one: without the lock at the start some would fail or be lost."""
    with database.transaction() as session:
        session.execute(text("CREATE TABLE counter (n INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))

    def add():
        for _ in range(20):
            with database.transaction() as session:
                n = session.execute(text("SELECT n FROM counter")).scalar_one()
                session.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.transaction() as session:
        assert session.execute(text("SELECT n FROM counter")).scalar_one() == 80


def test_a_forked_child_opens_connections_of_its_own(database):
    with database.engine().connect() as connection:
        parents = id(connection.connection.dbapi_connection)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with db.engine().connect() as connection:
            os.write(write, str(id(connection.connection.dbapi_connection) == parents).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read() == "False"
