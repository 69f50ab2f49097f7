"""What the app reads from the environment, beside what `celery_runtime` reads for itself."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from celery_runtime.settings import EnvSettings, load


class AppSettings(EnvSettings):
    """Each field is the variable of its upper-case name, or a file named in NAME_FILE."""

    database_url: str = Field(
        "postgresql+psycopg://app@127.0.0.1:5432/app",
        pattern=r"^(postgresql\+psycopg|sqlite)://",
        examples=["postgresql+psycopg://app@postgres:5432/app"],
    )
    database_password: SecretStr | None = None
    queues_file: Path = Field(Path("queues.toml"), examples=["queues.toml"])
    smtp_host: str = Field("127.0.0.1", min_length=1, examples=["mail"])
    smtp_port: int = Field(1025, ge=1, le=65535, examples=[1025])
    mail_from: str = Field("blueprint@localhost", pattern=r"^[^@\s]+@[^@\s]+$", examples=["app@example.org"])
    mail_to: str = Field("owner@localhost", pattern=r"^[^@\s]+@[^@\s]+$", examples=["owner@example.org"])
    max_upload_bytes: int = Field(20_971_520, ge=1, le=1_073_741_824, examples=[20_971_520])
    faults: Literal["on", "off"] = Field("off", examples=["off"])
    api_host: str = Field("127.0.0.1", min_length=1, examples=["127.0.0.1"])
    api_port: int = Field(8000, ge=1, le=65535, examples=[8000])

    @field_validator("database_url")
    @classmethod
    def _can_be_parsed(cls, value: str) -> str:
        try:
            url = make_url(value)
        except (ArgumentError, ValueError) as error:
            raise ValueError(f"it is no database URL: {error}") from None
        if url.get_backend_name() == "sqlite" and url.host:
            raise ValueError("a path stands after three slashes, an absolute one after four")
        return value


@cache
def settings() -> AppSettings:
    """The settings of this process, read once. Raises ConfigError that names variable, fault and a valid example."""
    return load(AppSettings)
