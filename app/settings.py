"""What the app reads from the environment, beside what `celery_runtime` reads for itself."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from celery_runtime.settings import EnvSettings, load

PAGE = r"^https?://[^\s/]+"


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
    ai_base_url: str = Field(
        "http://127.0.0.1:8080/v1", pattern=r"^https?://[^\s/]", examples=["https://ai.example/v1"]
    )
    ai_api_key: SecretStr | None = None
    ai_model: str = Field("standin-1", min_length=1, examples=["standin-1"])
    ai_timeout: float = Field(20, gt=0, le=40, examples=[20])  # seconds; the queue's pool enforces no limit of its own
    ai_tokens_per_minute: int = Field(100_000, ge=5000, le=1_000_000_000, examples=[100_000])
    max_upload_bytes: int = Field(20_971_520, ge=1, le=1_073_741_824, examples=[20_971_520])
    backup_dir: Path | None = Field(None, examples=["/backups"])
    backup_keep_days: int = Field(14, ge=1, le=3650, examples=[14])
    faults: Literal["on", "off"] = Field("off", examples=["off"])
    # What stands beside the app here; the page links to each that is set.
    flower_url: str | None = Field(None, pattern=PAGE, examples=["http://127.0.0.1:5555"])
    grafana_url: str | None = Field(None, pattern=PAGE, examples=["http://127.0.0.1:3000"])
    prometheus_url: str | None = Field(None, pattern=PAGE, examples=["http://127.0.0.1:9090"])
    mail_url: str | None = Field(None, pattern=PAGE, examples=["http://127.0.0.1:8025"])
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
