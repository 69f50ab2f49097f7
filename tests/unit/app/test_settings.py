from __future__ import annotations

import re

import pytest

from app import db
from app.settings import settings
from celery_runtime.settings import ConfigError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://app@db/app"),
        ("DATABASE_URL", "postgresql+psycopg://app@db:port/app"),
        ("DATABASE_URL", "sqlite://app.db"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("FAULTS", "maybe"),
        ("API_PORT", "70000"),
        ("SMTP_PORT", "smtp"),
        ("MAIL_FROM", "nobody"),
        ("AI_BASE_URL", "ai.example"),
        ("AI_TIMEOUT", "0"),
        ("AI_TOKENS_PER_MINUTE", "many"),
    ],
)
def test_a_wrong_value_is_named_with_a_valid_example(monkeypatch, name, value):
    with monkeypatch.context() as patch:
        patch.setenv(name, value)
        with pytest.raises(
            ConfigError, match=rf"^{name} = '{re.escape(value)}' is not valid: .*\n  A valid example: {name}="
        ):
            settings()


def test_the_password_of_the_database_comes_from_its_file(reconfigure, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("p@ss/word\n")
    url = "postgresql+psycopg://app@postgres:5432/app"
    reconfigure(DATABASE_URL=url, DATABASE_PASSWORD_FILE=secret)
    assert db.database_url().password == "p@ss/word"
    assert "p@ss" not in repr(settings())
