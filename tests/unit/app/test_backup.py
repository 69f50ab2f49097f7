from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from app import backup
from app.backup import BackupError
from app.tasks.backup import back_up_database


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Put scripts in the place of PostgreSQL's tools; each gets `version` and a text to run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def put(name, version, text="exit 0"):
        script = folder / name
        script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) {version}" && exit\n{text}\n')
        script.chmod(0o755)

    return put


@pytest.fixture
def postgres(reconfigure, tmp_path, monkeypatch):
    """A configuration of PostgreSQL 17 with a password."""
    (tmp_path / "password").write_text("se:cret")
    reconfigure(DATABASE_URL="postgresql+psycopg://app@db:5432/app?sslmode=prefer")
    reconfigure(DATABASE_PASSWORD_FILE=tmp_path / "password")
    monkeypatch.setattr(backup, "_server_version", lambda: 17)


RESTORE = 'case "$1" in --list) echo "5; 0 16385 TABLE DATA public users app";; *) cat "$2";; esac'
DUMP = """for each; do case $each in --file=*) file=${each#--file=};; esac; done
echo "$PGPASSWORD $@" >"$file"
"""


@pytest.mark.parametrize(("version", "words"), [("15.18 (Debian)", "pg_dump 15 cannot dump"), ("next", "This pg_dump")])
def test_a_client_older_than_the_server_is_refused(tools, version, words):
    tools("pg_dump", version)
    with pytest.raises(BackupError, match=rf"{words}.*version 17. Install PostgreSQL's client 17 or newer"):
        backup._check_client(17)


def test_a_missing_client_is_refused(tools, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match=r"There is no pg_dump here. Install PostgreSQL's client 17"):
        backup._check_client(17)


@pytest.mark.parametrize("version", ["17.2", "18.1"])
def test_a_client_as_new_as_the_server_or_newer_will_do(tools, version):
    tools("pg_dump", version)
    tools("pg_restore", version)
    backup._check_client(17)


def test_the_password_is_in_no_command_line_and_the_file_is_its_owners(tools, postgres, tmp_path):
    tools("pg_dump", "17.2", DUMP)
    tools("pg_restore", "17.2", RESTORE)
    dump = backup.make(tmp_path / "backups")
    password, _, command = dump.read_text().partition(" ")
    assert password == "se:cret" and "se:cret" not in command and "se%3Acret" not in command
    assert "postgresql://app@db:5432/app?sslmode=prefer" in command
    assert dump.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path / "backups") == [dump.name]


@pytest.mark.parametrize(
    ("dump", "restore"),
    [
        ("echo 'server closed the connection' >&2; exit 1", RESTORE),
        (DUMP, RESTORE.replace('cat "$2"', "echo 'could not read from input file: end of file' >&2; exit 1")),
        (DUMP, 'case "$1" in --list) echo "; Archive created";; esac'),
    ],
)
def test_what_fails_or_cannot_be_read_leaves_no_file(tools, postgres, tmp_path, dump, restore):
    tools("pg_dump", "17.2", dump)
    tools("pg_restore", "17.2", restore)
    with pytest.raises(BackupError, match=r"server closed the connection|end of file|holds no table"):
        backup.make(tmp_path / "backups")
    assert names(tmp_path / "backups") == []


def test_a_folder_that_cannot_be_written_is_named(tools, postgres, tmp_path):
    tools("pg_dump", "17.2", DUMP)
    tools("pg_restore", "17.2", RESTORE)
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError, match=r"BACKUP_DIR = .*file/backups' cannot be written"):
        backup.make(tmp_path / "file" / "backups")


def names(folder):
    return [path.name for path in folder.iterdir()]


def name_of(days):
    return f"app-{datetime.now(UTC) - timedelta(days=days):{backup.STAMP}}.dump"


def test_old_dumps_go_and_what_is_no_dump_stays(tmp_path):
    new, old, older = name_of(0.1), name_of(15), name_of(40)
    for name in (new, old, older, "notes.txt", "app-yesterday.dump"):
        (tmp_path / name).write_text("")
    assert backup.remove_old(tmp_path, timedelta(days=14)) == [older, old]
    assert set(names(tmp_path)) == {new, "notes.txt", "app-yesterday.dump"}


def test_the_newest_dump_stays_however_old_it_is(tmp_path):
    (tmp_path / name_of(40)).write_text("")
    assert backup.remove_old(tmp_path, timedelta(days=14)) == []


def test_what_a_killed_run_left_goes_after_a_day(tmp_path):
    for name, age in (("now", 0), ("before", 2 * 86_400)):
        (tmp_path / f"{backup.PARTIAL}{name}").write_text("")
        moment = datetime.now(UTC).timestamp() - age
        os.utime(tmp_path / f"{backup.PARTIAL}{name}", (moment, moment))
    backup.remove_old(tmp_path, timedelta(days=14))
    assert names(tmp_path) == [f"{backup.PARTIAL}now"]


def test_without_a_folder_it_fails_and_says_what_to_set(postgres):
    with pytest.raises(BackupError, match="BACKUP_DIR is not set"):
        back_up_database.run()


def test_the_file_of_make_dev_is_left_alone():
    assert "copy it" in back_up_database.run()["skipped"]
