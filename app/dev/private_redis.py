"""A Redis server for this machine's processes only: one on PATH, or else the one beside this Python.

`requirements/install.sh` puts it there, out of a wheel.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from app.dev import DevError

OLDEST = (6, 2)  # Celery 5.7 uses commands of 6.2


def find_server() -> Path:
    """The path of a redis-server of 6.2 or newer. Raises DevError when there is none."""
    seen = []
    for path in (_on_path(), _beside_python()):
        if path is None:
            continue
        version = _version(path)
        if version >= OLDEST:
            return path
        seen.append(f"{path} is {'.'.join(map(str, version)) or 'not usable'}")
    raise DevError(
        f"No Redis server of 6.2 or newer was found ({'; '.join(seen) or 'none at all'}).\n"
        "  Install your system's: apt-get install redis-server, brew install redis"
    )


def configuration(port: int, password: str, folder: Path) -> str:
    """redis.conf: loopback only, with a password; appends every write to a file, evicts nothing."""
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{folder}"',
            "appendonly yes",
            'save ""',
            "maxmemory-policy noeviction",
            "loglevel warning",
            "",
        ]
    )


def _on_path() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


def _beside_python() -> Path | None:
    path = Path(sys.executable).parent / "redis-server"
    return path if path.is_file() else None


def _version(path: Path) -> tuple[int, ...]:
    """(6, 2, 14); empty when the program does not run here."""
    try:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", shown)
    return tuple(map(int, found.groups())) if found else ()
