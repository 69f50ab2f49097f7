"""The figures as a file: what was measured, where and with which versions."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from bench.judge import Measured
from bench.servers import BenchError
from bench.variants import PEERS_PYTHON

OURS = ("celery", "kombu", "redis")
PEERS = ("arq", "dramatiq", "huey", "rq", "taskiq", "taskiq-redis")


def machine() -> dict[str, Any]:
    """The class of this machine, without its name."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "processor": _processor(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """Of the libraries that were compared."""
    found = {name: version(name) for name in OURS}
    if PEERS_PYTHON.exists():
        script = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
        command = [str(PEERS_PYTHON), "-c", script, *PEERS]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        found |= dict(zip(PEERS, told, strict=False))
    return found


def read(path: Path) -> dict[str, Any]:
    """Raises BenchError when the file is not one of ours."""
    try:
        result: dict[str, Any] = json.loads(path.read_text())
        result["machine"], result["runs"], result["figures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path} is no result of `make bench`: {error!r}. Delete it, or measure anew.") from None
    return result


def merge(path: Path, found: Measured, settings: dict[str, Any]) -> dict[str, Any]:
    """Put what was found in place of the same scenarios in the file, if that was measured on a machine like this.

    A ratio stays within one scenario of one run.
    """
    here = {"machine": machine(), "versions": versions()}
    old = read(path) if path.exists() else {}
    same = all(old.get(name) == value for name, value in here.items())
    figures = old["figures"] if same else {}
    runs = old["runs"] if same else {}
    told = {**settings, "date": datetime.now(UTC).date().isoformat()}
    for broker, scenarios in found.items():
        figures.setdefault(broker, {}).update(scenarios)
        ran = {name: {**told, "rounds": _rounds(variants)} for name, variants in scenarios.items()}
        runs.setdefault(broker, {}).update(ran)
    result = {**here, "runs": runs, "figures": figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _rounds(variants: dict[str, dict[str, list[float]]]) -> int:
    """The last one may be incomplete, when the time was over."""
    return max(len(runs) for metrics in variants.values() for runs in metrics.values())
