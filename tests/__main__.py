"""Run the test tiers, each as one pytest session, and print a line per tier: `python -m tests [TIER ...] [--slow]`.

A tier that cannot run on this machine says why and counts as skipped; it never counts as passed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Tier:
    """One folder of tests; `needs` are commands that make what it stands on, run once, in order.

    processes: that share its files. Integration tests wait most of the time; each process has servers of its own.
    slow_processes: where slow tests run too.
    """

    name: str
    what: str
    needs: tuple[str, ...] = ()
    processes: int = 1
    slow_processes: int = 1


DOCKER = "deploy/hosts/docker.sh"
IMAGES = "tests/images.sh"
CLUSTER = "tests/cluster/reachable.sh"
CHROMIUM = "tests/chromium.sh"
EXAMPLES = "tests/apps/venv.sh"
TIERS = (
    Tier("unit", "modules by themselves, tasks run eagerly", processes=2),
    Tier("manifests", "rendered files, and Compose's reading of every combination", (DOCKER,), processes=2),
    Tier("dev", "the app as local processes, without Docker"),
    Tier(
        "integration",
        "tasks on real Redis, RabbitMQ and PostgreSQL, the page in Chromium",
        (DOCKER, IMAGES, CHROMIUM),
        processes=3,
    ),
    Tier(
        "apps",
        "the examples under plain Celery and under the runtime, faults, versions",
        (DOCKER, IMAGES, EXAMPLES, CHROMIUM),
        processes=3,
    ),
    Tier("stack", "the Compose stack, up and down, on both brokers", (DOCKER, IMAGES)),
    Tier("chaos", "faults under load, counted in a ledger, on both brokers", (DOCKER, IMAGES)),
    Tier(
        "systemd",
        "units and Supervisor on a host with a systemd of its own, under load",
        (DOCKER, IMAGES),
        slow_processes=3,
    ),
    Tier("cluster", "the stack on the Kubernetes of KUBECONFIG, on both brokers", (CLUSTER, DOCKER, IMAGES)),
)


@dataclass
class Outcome:
    """What one tier came to; seconds without its set-up."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        counts = f"{self.passed:4} passed  {self.failed:3} failed  {self.skipped:3} skipped"
        return f"{self.name:12} {counts}  {self.seconds:6.1f} s  {self.note}".rstrip()


def main() -> int:
    """Run the named tiers or all; returns 0 when nothing failed and at least one test passed."""
    names = [tier.name for tier in TIERS]
    parser = argparse.ArgumentParser(description="Run the test tiers.")
    parser.add_argument("tiers", nargs="*", metavar="TIER", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--slow", action="store_true", help="the tests marked slow too")
    arguments = parser.parse_args()
    unknown = set(arguments.tiers) - set(names)
    if unknown:
        parser.error(f"there is no tier {min(unknown)!r}; choose from {', '.join(names)}")
    ready: dict[str, str] = {}
    chosen = [tier for tier in TIERS if not arguments.tiers or tier.name in arguments.tiers]
    outcomes = [_run(tier, ready, slow=arguments.slow) for tier in chosen]
    print("\n" + "\n".join(map(str, outcomes)))
    passed, failed, skipped = (sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if passed and not failed else 1


def _run(tier: Tier, ready: dict[str, str], *, slow: bool) -> Outcome:
    print(f"\n== {tier.name}: {tier.what}", flush=True)
    for command in tier.needs:
        if command not in ready:
            ready[command] = _prepare(command)
        if ready[command]:
            return Outcome(tier.name, skipped=1, note=f"not run: {ready[command]}")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = [] if slow else ["-m", "not slow"]
        processes = max(tier.processes, tier.slow_processes if slow else 1)
        if processes > 1:
            options += ["--numprocesses", str(processes), "--dist", "loadfile"]
        command = [sys.executable, "-m", "pytest", f"tests/{tier.name}", f"--junitxml={report}", *options]
        began = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        return _outcome(tier.name, report, code, time.monotonic() - began)


def _prepare(command: str) -> str:
    """Run one set-up command; returns why it cannot be had here, or nothing. A broken set-up ends the run."""
    began = time.monotonic()
    print(f"{command}: making ready", flush=True)
    with subprocess.Popen([ROOT / command], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        said = [line.rstrip() for line in _shown(process.stderr)]
    if process.returncode == 0:
        print(f"{command}: ready after {time.monotonic() - began:.0f} s", flush=True)
        return ""
    reason = said[0] if said else f"exit code {process.returncode}"
    if command == DOCKER and process.returncode == 2 and not os.environ.get("CI"):
        return reason
    if command == CLUSTER and process.returncode == 2:
        return reason
    sys.exit(f"{command} failed: {reason}")


def _shown(lines: Iterable[str] | None) -> Iterator[str]:
    """Pass lines on while they come, so that minutes of set-up are not minutes of silence."""
    for line in lines or ():
        sys.stderr.write(line)
        yield line


def _outcome(name: str, report: Path, code: int, seconds: float) -> Outcome:
    if not report.exists():
        return Outcome(name, failed=1, seconds=seconds, note=f"pytest ended with exit code {code}")
    suite = next(iter(ET.parse(report).getroot().iter("testsuite")))  # noqa: S314  written by pytest just now
    tests, failed, skipped = (int(suite.get(key, "0")) for key in ("tests", "failures", "skipped"))
    failed += int(suite.get("errors", "0"))
    if code not in (0, 1, 5):
        return Outcome(name, failed=failed + 1, seconds=seconds, note=f"pytest ended with exit code {code}")
    return Outcome(name, max(tests - failed - skipped, 0), failed, skipped, seconds)


if __name__ == "__main__":
    sys.exit(main())
