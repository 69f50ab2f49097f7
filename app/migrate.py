"""Bring the database to the newest revision: `python -m app.migrate`.

Several replicas may run it together: one does the work, the others wait for it and find nothing left to do.
"""

import sys
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError, OperationalError

from app.db import database_url, engine
from celery_runtime.settings import ConfigError

WAIT = 60  # seconds for the database to answer, and for another replica to finish
LOCK = 0x63656C657279  # "celery": any number that every replica knows and nothing else locks


def main() -> int:
    """Upgrade to head; returns the exit code of the process."""
    try:
        wait_for_database()
        upgrade()
    except ConfigError as error:
        return _complain(str(error))
    except DatabaseError as error:
        if not isinstance(error, OperationalError) and _code(error) != "SQLITE_NOTADB":
            raise
        return _complain(_explain(error))
    print("The database is at the newest revision.")
    return 0


def wait_for_database(seconds: float = WAIT) -> None:
    """Return once the database answers. Raises its OperationalError after `seconds`, or where waiting is no help."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with engine().connect() as connection:
                connection.execute(text("SELECT 1"))
                return
        except OperationalError as error:
            if time.monotonic() > deadline or not _may_pass(error):
                raise
            time.sleep(0.5)


def upgrade(revision: str = "head") -> None:
    """Run what is missing up to `revision` in one transaction, alone among all replicas."""
    with engine().begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        command.upgrade(configuration(connection), revision)


def configuration(connection: Connection) -> Config:
    """What Alembic needs to know, without a file: where the revisions stand and the connection to use."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _may_pass(error: DatabaseError) -> bool:
    """A server may still be starting, even one that refuses the password; a file is only ever busy."""
    return not _code(error) or _code(error).startswith("SQLITE_BUSY")


def _code(error: DatabaseError) -> str:
    """SQLite's name of the error, empty for another database."""
    return getattr(error.orig, "sqlite_errorname", "")


def _explain(error: DatabaseError) -> str:
    where = database_url().render_as_string(hide_password=True)
    reason = str(error.orig).strip().splitlines()[0]
    if not _may_pass(error):
        remedy = "Let DATABASE_URL name this app's own file, in a folder that exists and that this user may write to."
        return f"DATABASE_URL = {where!r} cannot be used: {reason}.\n  {remedy}"
    remedy = "Start the database, or correct DATABASE_URL and DATABASE_PASSWORD_FILE."
    return f"DATABASE_URL = {where!r} could not be used within {WAIT} s: {reason}.\n  {remedy}"


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
