from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import OperationalError

from app import db, migrate
from app.models import Base


def tables():
    return set(inspect(db.engine()).get_table_names()) - {"alembic_version"}


def test_the_newest_revision_is_what_the_models_say():
    migrate.upgrade()
    with db.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_constraints_are_named_as_the_models_name_them():
    migrate.upgrade()
    found = {check["name"] for check in inspect(db.engine()).get_check_constraints("images")}
    assert found == {"ck_images_state"}


def test_a_second_run_finds_nothing_to_do(capsys):
    assert (migrate.main(), migrate.main()) == (0, 0)
    assert capsys.readouterr().out.count("newest revision") == 2


def test_every_revision_can_be_taken_back():
    migrate.upgrade()
    assert tables() == set(Base.metadata.tables)
    with db.engine().begin() as connection:
        command.downgrade(migrate.configuration(connection), "base")
    assert tables() == set()


def test_replicas_may_run_it_together():
    replicas = [subprocess.Popen([sys.executable, "-m", "app.migrate"]) for _ in range(3)]
    assert [replica.wait(30) for replica in replicas] == [0, 0, 0]
    assert tables() == set(Base.metadata.tables)


def test_it_waits_for_the_database_and_then_says_what_to_do(reconfigure, monkeypatch, capsys):
    reconfigure(DATABASE_URL="postgresql+psycopg://app@127.0.0.1:1/app")
    monkeypatch.setattr(migrate, "WAIT", 1)
    with pytest.raises(OperationalError):
        migrate.wait_for_database(0)
    monkeypatch.setattr(migrate, "wait_for_database", lambda wait=migrate.wait_for_database: wait(0))
    assert migrate.main() == 2
    shown = capsys.readouterr().err
    assert shown.startswith("DATABASE_URL = 'postgresql+psycopg://app@127.0.0.1:1/app' could not be used within 1 s")
    assert "Start the database" in shown


def test_it_waits_for_no_file_that_cannot_be_opened(reconfigure, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(migrate.time, "sleep", lambda _: pytest.fail("it waits"))
    reconfigure(DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/app.db")
    assert migrate.main() == 2
    shown = capsys.readouterr().err
    assert "app.db' cannot be used: unable to open database file." in shown and "folder" in shown


def test_a_file_that_is_no_database_is_a_message(reconfigure, capsys, tmp_path):
    (tmp_path / "text.db").write_text("This is a text, and no database at all.\n" * 100)
    reconfigure(DATABASE_URL=f"sqlite:///{tmp_path}/text.db")
    assert migrate.main() == 2
    assert "cannot be used: file is not a database" in capsys.readouterr().err


def test_it_waits_for_a_file_that_is_busy(monkeypatch):
    busy, waited, connect = sqlite3.OperationalError("database is locked"), [], Engine.connect
    busy.sqlite_errorname = "SQLITE_BUSY_RECOVERY"
    failures = [OperationalError("SELECT 1", {}, busy)]

    def connect_later(engine):
        if failures:
            raise failures.pop()
        return connect(engine)

    monkeypatch.setattr(migrate.time, "sleep", waited.append)
    monkeypatch.setattr(Engine, "connect", connect_later)
    migrate.wait_for_database()
    assert waited == [0.5]


def test_a_wrong_setting_is_a_message_not_a_traceback(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", "oracle://x")
        assert migrate.main() == 2
    assert capsys.readouterr().err.startswith("DATABASE_URL = 'oracle://x' is not valid")
