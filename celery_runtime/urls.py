"""The addresses of servers: checked, and completed with a password from a file."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr


def check(url: str) -> None:
    """Raise ValueError that says what is wrong with `url`."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme in {"redis", "rediss", "sentinel"} and not (database or "0").isdigit():
        raise ValueError(f"its database {database!r} is not a number")
    if not parts.hostname and "socket" not in parts.scheme:
        raise ValueError("it names no host")
    _ = parts.port  # raises ValueError for a port that is none


def scheme(urls: str | Sequence[str]) -> str:
    """Of the address of a server, or of the first node of a cluster; a setting of Celery's is the one or the other."""
    return urlsplit(urls if isinstance(urls, str) else urls[0]).scheme


def with_password(urls: str, password: SecretStr | None) -> str:
    """Put the password into each URL of a list that is separated by semicolons, the nodes of one cluster."""
    if password is None:
        return urls
    secret = quote(password.get_secret_value(), safe="")
    return ";".join(_with_secret(url, secret) for url in urls.split(";"))


def _with_secret(url: str, secret: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{secret}@{host}"))
