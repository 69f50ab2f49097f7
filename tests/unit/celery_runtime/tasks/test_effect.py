from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, event, func, insert, select
from sqlalchemy.orm import sessionmaker

from celery_runtime.tasks import effect
from celery_runtime.tasks.effect import effect_table, forget_effects, once

metadata = MetaData()
effects = effect_table(metadata)
charges = Table("charges", metadata, Column("id", Integer, primary_key=True), Column("amount", Integer))


@pytest.fixture
def transaction(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/effects.db")
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    metadata.create_all(engine)
    yield sessionmaker(engine).begin
    engine.dispose()


def charge(transaction, key, error=None):
    with transaction() as session:
        if once(session, key):
            session.execute(insert(charges).values(amount=1))
        if error:
            raise error


def charged(transaction):
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(charges))


@pytest.fixture(params=["ON CONFLICT", "savepoint"])
def way(request, monkeypatch):
    """How the database is asked: the second is for those without ON CONFLICT."""
    if request.param == "savepoint":
        monkeypatch.setattr(effect, "INSERTS", {})


def test_it_happens_once_for_each_key(transaction, way):
    for key in ("bill 1", "bill 1", "bill 2"):
        charge(transaction, key)
    assert charged(transaction) == 2


def test_what_was_rolled_back_may_happen_again(transaction, way):
    with pytest.raises(ZeroDivisionError):
        charge(transaction, "bill 1", ZeroDivisionError())
    assert charged(transaction) == 0
    charge(transaction, "bill 1")
    assert charged(transaction) == 1


def test_at_the_same_moment_it_happens_once(transaction, way):
    threads = [threading.Thread(target=charge, args=(transaction, "bill 1")) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert charged(transaction) == 1


def test_a_key_that_no_database_column_holds_is_refused(transaction):
    with transaction() as session, pytest.raises(ValueError, match="has 201 characters, more than 200"):
        once(session, "k" * 201)


def test_old_marks_can_be_removed(transaction):
    charge(transaction, "bill 1")
    with transaction() as session:
        assert forget_effects(session, timedelta(days=1)) == 0
        assert forget_effects(session, timedelta(0)) == 1
