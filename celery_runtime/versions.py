"""Refuse versions of Celery and kombu whose inner parts are not those that the runtime stands on.

What it takes from them has no public name (each module says what it read): with others it would fail in the middle of
a task, or lose one without a word. docs/bring-your-own-app.md says which were tried.
"""

from __future__ import annotations

from importlib.metadata import version

from celery_runtime.settings import ConfigError

# The first that fits, and the first that does not any more.
SUPPORTED = {"celery": ((5, 7), (5, 8)), "kombu": ((5, 7), (5, 8))}


def check() -> None:
    """Raise ConfigError when what is installed does not fit."""
    for package, (first, beyond) in SUPPORTED.items():
        if not first <= _release(package) < beyond:
            least, below = (".".join(map(str, each)) for each in (first, beyond))
            raise ConfigError(
                f"{package} {version(package)} is installed, and the runtime runs on {least} or newer, below {below}.\n"
                f"  Install one of those: pip install '{package}>={least},<{below}'"
            )


def _release(package: str) -> tuple[int, ...]:
    """Major and minor version of what is installed; what is no number, as in 5.8.0rc1, comes after those."""
    return tuple(int(part) for part in version(package).split(".")[:2])
