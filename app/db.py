"""Sessions on the database that DATABASE_URL names: PostgreSQL, or SQLite for one developer.

The engine connects at the first query, so that a process starts while the database is away, and a pool child that
was forked opens connections of its own instead of sharing its parent's sockets.
"""

import os
import select
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from app.settings import settings
from celery_runtime.tasks.effect import INSERTS

# Together below the 10 s within which the API says that the database is away.
CONNECT_TIMEOUT = 4  # seconds
PING_TIMEOUT = 3  # seconds
BUSY_TIMEOUT = 30  # seconds that SQLite waits for another process's write


def transaction() -> AbstractContextManager[Session]:
    """A session that commits when its block ends and rolls back when the block raises."""
    return _sessions().begin()


def insert(session: Session, model: type[DeclarativeBase]) -> Any:
    """An INSERT into the table of `model` as this database has it, with its ON CONFLICT."""
    return INSERTS[session.get_bind().dialect.name](model)


@cache
def engine() -> Engine:
    """The engine of this process."""
    url = database_url()
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    return _postgresql(url)


def database_url() -> URL:
    """DATABASE_URL with the password from its file."""
    url = make_url(settings().database_url)
    secret = settings().database_password
    return url.set(password=secret.get_secret_value()) if secret else url


@cache
def _sessions() -> sessionmaker[Session]:
    return sessionmaker(engine(), expire_on_commit=False)


def _postgresql(url: URL) -> Engine:
    created = create_engine(
        url,
        pool_size=10,
        max_overflow=10,
        pool_timeout=5,
        connect_args={"connect_timeout": CONNECT_TIMEOUT, "keepalives_idle": 10, "keepalives_interval": 5},
    )
    event.listen(created, "checkout", _ping)
    return created


def _ping(connection: Any, _record: Any, _proxy: Any) -> None:
    """Ask an idle connection for an answer; `pool_pre_ping` would wait for ever on a server that is paused."""
    pg = connection.pgconn
    answers = select.poll()  # select() takes no descriptor above 1023, and a thousand clients use those up
    try:
        answers.register(pg.socket, select.POLLIN)
        pg.send_query(b"")
        while pg.is_busy():
            if not answers.poll(PING_TIMEOUT * 1000):
                raise InvalidatePoolError("the database did not answer")
            pg.consume_input()
        while pg.get_result() is not None:
            pass
    except connection.Error as error:
        raise InvalidatePoolError(str(error)) from error


def _sqlite(url: URL) -> Engine:
    created = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT})
    event.listen(created, "connect", _prepare_sqlite)
    event.listen(created, "begin", _begin_sqlite)
    return created


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own: _begin_sqlite does
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Any) -> None:
    # A transaction that reads first and writes later fails at once when another one wrote in between; one that
    # takes the write lock at its start waits its turn.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _forget_connections() -> None:
    if engine.cache_info().currsize:
        engine().dispose(close=False)  # the sockets belong to the parent


os.register_at_fork(after_in_child=_forget_connections)
