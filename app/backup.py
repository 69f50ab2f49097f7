"""A dump of the database in a folder: complete, readable by `pg_restore`, or not there at all.

It is written under another name, read back to its last byte, and only then gets the name that says it is one. The
older ones go when the new one stands.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL, text

from app.db import CONNECT_TIMEOUT, database_url, engine
from app.models import now

STAMP = "%Y%m%dT%H%M%SZ"  # sorts as it reads, and a name of this form is a time in UTC
NAME = re.compile(r"app-(\d{8}T\d{6}Z)\.dump")
PARTIAL = ".partial-"
LOCK_WAIT = "--lock-wait-timeout=60s"  # for a table that a migration holds
ABANDONED = timedelta(days=1)  # longer than any dump may take: the queue's time limit is below


class BackupError(Exception):
    """There is no new backup; the text says why and what to do."""


def make(folder: Path) -> Path:
    """Write a dump into `folder`, verify it, and return its path. Raises BackupError, or OperationalError."""
    _check_client(_server_version())
    try:
        with _partial(folder) as partial:
            _run(
                "pg_dump", "--format=custom", "--no-password", LOCK_WAIT, f"--file={partial}", f"--dbname={_address()}"
            )
            verify(partial)
            return _publish(partial, folder / f"app-{now():{STAMP}}.dump")
    except OSError as error:
        raise BackupError(f"BACKUP_DIR = {str(folder)!r} cannot be written: {error.strerror or error}.") from error


def verify(dump: Path) -> None:
    """Read all of `dump`; `pg_restore --list` reads its head alone, and takes half a file for a whole one.

    Raises BackupError.
    """
    _run("pg_restore", f"--file={os.devnull}", str(dump))
    if " TABLE DATA " not in _run("pg_restore", "--list", str(dump)):
        raise BackupError(f"The dump of {_address()} holds no table: is it the right database?")


def remove_old(folder: Path, keep: timedelta) -> list[str]:
    """Remove the dumps older than `keep`, but never the newest, and what killed runs left; returns the dumps' names."""
    dumps = sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name))
    old = [name for name in dumps[:-1] if _made(name) < now() - keep]
    for name in old:
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(f"{PARTIAL}*"):
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) < now() - ABANDONED:
            path.unlink(missing_ok=True)
    return old


def _made(name: str) -> datetime:
    stamp = NAME.fullmatch(name)
    return datetime.strptime(stamp[1] if stamp else "", STAMP).replace(tzinfo=UTC)


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A new file that goes at the end, unless it got another name."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f"{PARTIAL}{uuid4().hex}"
    partial.touch(mode=0o600, exist_ok=False)  # what will be inside is everybody's data
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _publish(partial: Path, dump: Path) -> Path:
    """Give a complete dump its name, once it and then the name are on the disk."""
    _sync(partial)
    partial.rename(dump)
    _sync(dump.parent)
    return dump


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _address() -> str:
    """The database as PostgreSQL's own tools name it, without the password."""
    url = database_url()
    bare = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    return bare.render_as_string()


def _server_version() -> int:
    with engine().connect() as connection:
        return int(connection.scalar(text("SHOW server_version_num"))) // 10_000


def _check_client(server: int) -> None:
    """pg_dump reads servers up to its own version; a newer one it refuses, or worse, dumps in part."""
    for tool in ("pg_dump", "pg_restore"):
        if shutil.which(tool) is None:
            raise BackupError(f"There is no {tool} here. Install PostgreSQL's client {server} or newer.")
        version = re.search(r"\(PostgreSQL\) (\d+)", _run(tool, "--version"))
        if version is None or int(version[1]) < server:
            found = f"{tool} {version[1]}" if version else f"This {tool}"
            raise BackupError(
                f"{found} cannot dump a server of version {server}. Install PostgreSQL's client {server} or newer."
            )


def _run(*command: str) -> str:
    """What `command` prints. The password goes through the environment: a command line is everybody's to read."""
    environment = {**os.environ, "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT)}
    if password := database_url().password:
        environment["PGPASSWORD"] = password
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"{command[0]} failed: {done.stderr.strip()[-500:] or f'exit code {done.returncode}'}")
    return done.stdout
