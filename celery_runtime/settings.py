"""Settings from the environment, secrets from files, and errors that a person can act on.

Every variable NAME may be given as NAME_FILE instead, the path of a file that holds the value. Passwords may come
from a file only: an environment shows up in `docker inspect`, in crash reports and in every child process.
"""

from __future__ import annotations

import os
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from celery_runtime.promises import KEEPABLE
from celery_runtime.urls import check, with_password


class ConfigError(Exception):
    """A setting is missing or wrong; the text names it, its value and what to do."""


class _Environment(PydanticBaseSettingsSource):
    """Reads NAME or NAME_FILE for each field of the settings class."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = field_name.upper()
        value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
        if value and path:
            raise ConfigError(f"{name} and {name}_FILE are both set.\n  Remove one of them.")
        if path:
            return _read_secret(f"{name}_FILE", path), field_name, False
        if value:
            _refuse_plain_secret(name, value, field)
        return value or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        found = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in found.items() if value is not None}


class EnvSettings(BaseSettings):
    """Base class of typed settings: the field `redis_url` is the variable REDIS_URL or REDIS_URL_FILE.

    A field of type SecretStr is read from its file only. Give each field `examples` for its error message.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls)


# What a user can switch off one by one, with RUNTIME_OFF; docs/guarantees.md says what each costs when it is missing.
PARTS = ("claim", "lease", "drain", "dead-letters", "health", "results", "metrics", "publishing")


MOST_BUCKETS = 30  # of a histogram; pool children share memory of a fixed size


class RuntimeSettings(EnvSettings):
    """What the runtime itself reads; one place for every platform."""

    runtime_off: str = Field("", examples=["drain,lease"])
    keep_settings: str = Field("", examples=["task_acks_late"])
    celery_app: str = Field("app.celery:app", examples=["app.celery:app"])
    queues_file: Path = Field(Path("queues.toml"), examples=["queues.toml"])
    broker: Literal["redis", "rabbitmq"] = Field("redis", examples=["redis"])
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        pattern=r"^(rediss?|sentinel|redis\+socket)://",
        examples=["redis://celery@redis:6379/0", "sentinel://celery@a:26379/0;sentinel://celery@b:26379/0"],
    )
    redis_password: SecretStr | None = None
    redis_master: str = Field("mymaster", pattern=r"^[A-Za-z0-9._-]+$", examples=["mymaster"])
    sentinel_password: SecretStr | None = None
    visibility_timeout: int = Field(60, ge=5, le=43_200, examples=[60])  # seconds; four renewals must fit in
    rabbitmq_url: str = Field(
        "amqp://celery@127.0.0.1:5672/celery",
        pattern=r"^amqps?://",
        examples=["amqp://celery@rabbitmq:5672/celery", "amqp://celery@a:5672/v;amqp://celery@b:5672/v"],
    )
    rabbitmq_password: SecretStr | None = None
    rabbitmq_queues: Literal["quorum", "classic"] = Field("quorum", examples=["quorum"])
    rabbitmq_management_url: str | None = Field(
        None, pattern=r"^https?://[^\s/@]+$", examples=["http://rabbitmq:15672"]
    )  # by default port 15672 of the first node
    delivery_limit: int = Field(5, ge=1, le=100, examples=[5])
    node_name: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,60}$", examples=["media-2"])
    flower_user: str = Field("admin", pattern=r"^[^:]+$", examples=["admin"])
    flower_password: SecretStr | None = None
    flower_address: str = Field("127.0.0.1", examples=["127.0.0.1"])
    flower_port: int = Field(5555, ge=1, le=65535, examples=[5555])
    health_port: int = Field(9808, ge=0, le=65535, examples=[9808])
    health_address: str = Field("127.0.0.1", examples=["127.0.0.1"])
    publish_timeout: float = Field(10, gt=0, le=3600, examples=[10])  # seconds
    max_arguments_kib: int = Field(64, ge=1, le=65_536, examples=[64])
    metrics_buckets: str = Field("", examples=["0.01,0.1,1,10,60"])
    tracing_url: str | None = Field(None, pattern=r"^https?://[^\s/@]+\S*$", examples=["http://collector:4318"])
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", examples=["INFO"])

    @field_validator("metrics_buckets")
    @classmethod
    def _are_bounds(cls, text: str) -> str:
        bounds = [float(part) for part in _split(text)]
        if any(low >= high for low, high in pairwise([0.0, *bounds])) or not all(map(isfinite, bounds)):
            raise ValueError("they are seconds above 0, each larger than the one before")
        if len(bounds) > MOST_BUCKETS:
            raise ValueError(f"they are {len(bounds)}, and at most {MOST_BUCKETS} can be counted")
        return text

    @property
    def bucket_bounds(self) -> tuple[float, ...]:
        """Upper bounds of the histograms' buckets in seconds; none: the default ones."""
        return tuple(float(part) for part in _split(self.metrics_buckets))

    @field_validator("redis_url", "rabbitmq_url")
    @classmethod
    def _are_complete(cls, urls: str) -> str:
        for url in urls.split(";"):
            try:
                check(url)
            except ValueError as error:
                raise ValueError(f"{url!r}: {error}" if ";" in urls else str(error)) from None
        if len({urlsplit(url).scheme for url in urls.split(";")}) > 1:
            raise ValueError("its parts name different kinds of servers")
        if ";" in urls and urls.startswith("redis"):
            raise ValueError("several servers of Redis are found through Sentinel: sentinel://...")
        return urls

    @field_validator("runtime_off")
    @classmethod
    def _are_parts(cls, text: str) -> str:
        unknown = [part for part in _split(text) if part not in PARTS]
        if unknown:
            raise ValueError(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
        return text

    @field_validator("keep_settings")
    @classmethod
    def _are_kept(cls, text: str) -> str:
        unknown = [name for name in _split(text) if name not in KEEPABLE]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none that could be kept; those are {', '.join(KEEPABLE)}")
        return text

    @property
    def kept_settings(self) -> list[str]:
        """The settings that stay the app's although they break a guarantee."""
        return _split(self.keep_settings)

    def has(self, part: str) -> bool:
        """Whether a part of PARTS is on; each is unless RUNTIME_OFF names it."""
        return part not in _split(self.runtime_off)

    @property
    def redis(self) -> str:
        """The Redis URL with its password: broker (by default), results, locks and the Beat schedule."""
        return with_password(self.redis_url, self.redis_password)

    @property
    def broker_url(self) -> str:
        """The URL of the broker that BROKER names, with its password."""
        if self.broker == "redis":
            return self.redis
        return with_password(self.rabbitmq_url, self.rabbitmq_password)

    @property
    def rabbitmq_management(self) -> str:
        """The URL of RabbitMQ's management API, with the broker's user, password and vhost."""
        broker = urlsplit(with_password(self.rabbitmq_url, self.rabbitmq_password).partition(";")[0])
        scheme, default_port = ("https", 15671) if broker.scheme == "amqps" else ("http", 15672)
        address = urlsplit(self.rabbitmq_management_url or f"{scheme}://{broker.hostname}:{default_port}")
        login = broker.netloc.rpartition("@")[0]
        return urlunsplit((address.scheme, f"{login}@{address.netloc}", broker.path, "", ""))


S = TypeVar("S", bound=BaseSettings)


def load(settings_class: type[S]) -> S:
    """Return the settings that the environment describes; raises ConfigError with one paragraph per fault."""
    try:
        return settings_class()
    except ValidationError as error:
        fields = settings_class.model_fields
        raise ConfigError("\n".join(_explain(fault, fields) for fault in error.errors())) from None


def _explain(fault: Any, fields: dict[str, FieldInfo]) -> str:
    name = str(fault["loc"][0])
    shown = "(a secret)" if name.endswith("password") else repr(str(fault["input"]))
    examples = (fields[name].examples if name in fields else None) or []
    remedy = f"\n  A valid example: {name.upper()}={examples[0]}" if examples else ""
    if fault["type"] == "missing":
        return f"{name.upper()} is not set.{remedy}"
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{name.upper()} = {shown} is not valid: {reason}.{remedy}"


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _read_secret(name: str, path: str) -> str:
    try:
        text = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(
            f"{name} = {path!r} cannot be read: {reason}.\n"
            "  Write the value into that file and let the user of this process read it."
        ) from None
    if not text:
        raise ConfigError(f"{name} = {path!r} is empty.\n  Write the value into that file.")
    return text


def _refuse_plain_secret(name: str, value: str, field: FieldInfo) -> None:
    is_secret = "SecretStr" in str(field.annotation)
    try:
        has_password = "://" in value and any(urlsplit(url).password is not None for url in value.split(";"))
    except ValueError:
        has_password = False
    if is_secret or has_password:
        what = "is a secret" if is_secret else "contains a password"
        remedy = f"{name}_FILE" if is_secret else f"{name}_FILE, or the password alone into its _PASSWORD_FILE"
        raise ConfigError(
            f"{name} {what}, and secrets are read from files only.\n"
            f"  Write it into a file and name that file in {remedy}."
        )
