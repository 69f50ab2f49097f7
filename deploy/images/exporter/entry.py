"""Start celery-exporter with a broker URL whose password comes from a file.

The exporter takes the whole URL, password included, from its command line or environment, where `docker inspect`
and `ps` show it. Here it is put together inside the process, from the variables that every service of the stack
has: BROKER, then REDIS_URL and REDIS_PASSWORD_FILE, or RABBITMQ_URL and RABBITMQ_PASSWORD_FILE.
Flags are the exporter's own.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

URL_VARIABLES = {"redis": "REDIS", "rabbitmq": "RABBITMQ"}


def broker_url(environment: Mapping[str, str]) -> str:
    """Return the URL of the chosen broker; ValueError says which variable is wrong, and how to mend it."""
    broker = environment.get("BROKER", "redis")
    if broker not in URL_VARIABLES:
        raise ValueError(f"BROKER={broker!r} is unknown.\n  Set it to one of: {', '.join(URL_VARIABLES)}.")
    prefix = URL_VARIABLES[broker]
    url = environment.get(f"{prefix}_URL", "")
    if not urlsplit(url).hostname:
        raise ValueError(f"{prefix}_URL={url!r} names no host.\n  Example: redis://celery@redis:6379/0")
    file = environment.get(f"{prefix}_PASSWORD_FILE")
    return with_password(url, read_password(f"{prefix}_PASSWORD_FILE", file)) if file else url


def read_password(variable: str, file: str) -> str:
    """Return the stripped content of a password file; ValueError when there is none."""
    try:
        password = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{variable}={file}: {error.strerror}.\n  Mount a readable file there.") from None
    if not password:
        raise ValueError(f"{variable}={file} is empty.\n  Put the broker's password into it.")
    return password


def with_password(url: str, password: str) -> str:
    """Return the URL with the password, quoted, beside its user."""
    parts = urlsplit(url)
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def main() -> None:
    """Run the exporter in this process."""
    try:
        os.environ["CE_BROKER_URL"] = broker_url(os.environ)
    except ValueError as error:
        sys.exit(f"celery-exporter: {error}")
    # As process 1 it would ignore SIGTERM and be killed ten seconds later; it has nothing to save.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.environ["LOGURU_DIAGNOSE"] = "NO"  # or its tracebacks print the values of variables, the URL among them
    from src.cli import cli  # the exporter's own package

    cli(auto_envvar_prefix="CE")


if __name__ == "__main__":
    main()
