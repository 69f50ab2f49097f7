"""Sessions of their tests: a part of one suite on servers of its own, with stock Celery or with this runtime under it.

Celery's tests wait most of the time, a second after each until its worker says that it is idle. So a suite is cut into
sessions that run side by side, and each keeps its neighbours in their order.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.brokers import serving
from tests.conformance.cases import Run, read_report
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache/conformance"
RESULTS = FOLDER / "results"
FLAVOURS = ("stock", "blueprint")
LIMIT = 1200  # seconds for a session; two minutes alone on a machine, ten among fifteen other busy processes
LAST_WORDS = 30  # seconds to write the report when the limit is over
TEST_LIMIT = 300  # seconds for a test that sets none itself, as theirs mostly do
PLUGINS = {"kombu": [], "celery": ["-p", "celery.contrib.pytest"]}  # the latter knows `pytest.mark.celery`
OUTCOME = re.compile(r"^t/.+? (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """One line of the table."""

    suite: str
    broker: str
    flavour: str

    @property
    def slug(self) -> str:
        return f"{self.suite}-{self.broker}-{self.flavour}"


@dataclass(frozen=True)
class Session:
    """Tests, by node id, that run one after the other; `name` tells its log and its report from others."""

    target: Target
    tests: tuple[str, ...]
    name: str
    stopping: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def log(self) -> Path:
        return RESULTS / f"{self.name}.log"

    def run(self) -> Run:
        """Run them to their end, or until `stopping` is set."""
        report = RESULTS / f"{self.name}.xml"
        with serving(self.target.broker) as ports, self.log.open("w") as output:
            began = time.monotonic()
            process = subprocess.Popen(
                [*_pytest(self.target), "-v", *self.tests, f"--junitxml={report}"],
                cwd=FOLDER / self.target.suite,
                env=_environment(self.target, ports),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                self._watch(process, began + LIMIT)
            finally:
                with suppress(ProcessLookupError):  # pytest itself, or what its tests left behind
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return Run(read_report(report, self.tests), time.monotonic() - began)

    def _watch(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while process.poll() is None and not self.stopping.wait(0.5):
            if time.monotonic() > deadline:
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LAST_WORDS)
                return

    def progress(self) -> tuple[int, int]:
        """Return how many tests ended so far, and how many of them failed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        ended = OUTCOME.findall(text)
        return len(ended), ended.count("FAILED") + ended.count("ERROR")


def collect(suite: str, broker: str, files: list[str], keyword: str) -> list[str]:
    """Return the node ids of the tests in `files` that match pytest's expression `keyword`, in pytest's order."""
    target = Target(suite, broker, "stock")
    command = [*_pytest(target), "--collect-only", "--quiet", "-k", keyword, *files]
    environment = _environment(target, {"redis": 6379, "rabbitmq": 5672})
    done = subprocess.run(
        command, cwd=FOLDER / suite, env=environment, capture_output=True, text=True, check=False, timeout=TEST_LIMIT
    )
    if done.returncode not in {0, 5}:  # 5: none matches
        raise RuntimeError(f"{suite}'s tests cannot be collected:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if line.startswith("t/") and "::" in line]


def _pytest(target: Target) -> list[str]:
    command = [str(FOLDER / "venv/bin/python"), "-m", "pytest", "-p", "no:cacheprovider", "-W", "default"]
    # Many of their tests ask to be run up to six times until they pass: that would hide what differs.
    command += ["--force-reruns=0", f"--timeout={TEST_LIMIT}"]
    runtime = ["-p", f"tests.conformance.under_{target.suite}"] if target.flavour == "blueprint" else []
    return [*command, *PLUGINS[target.suite], *runtime]


def _environment(target: Target, ports: dict[str, int]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "PATH"}}
    kept["PATH"] = f"{FOLDER / 'venv/bin'}:{kept['PATH']}"  # some tests start `celery`
    redis, rabbitmq = f"redis://127.0.0.1:{ports['redis']}/0", f"127.0.0.1:{ports.get('rabbitmq', 5672)}//"
    theirs = {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_6379_TCP": str(ports["redis"]),
        "REDIS_PORT": str(ports["redis"]),
        "TEST_BROKER": redis if target.broker == "redis" else f"pyamqp://guest:guest@{rabbitmq}",
        "TEST_BACKEND": redis,
        "WORKER_LOGLEVEL": "INFO",  # some tests read the log
        "RABBITMQ_HOST": "127.0.0.1",
        "RABBITMQ_5672_TCP": str(ports.get("rabbitmq", 5672)),
    }
    ours = {
        "BROKER": target.broker,
        "REDIS_URL": redis,
        "RABBITMQ_URL": f"amqp://guest@{rabbitmq}",
        "RABBITMQ_PASSWORD_FILE": str(Path(__file__).with_name("guest")),
        "QUEUES_FILE": str(Path(__file__).with_name("queues.toml")),
        "HEALTH_PORT": str(free_port()),
        "RUNTIME_OFF": os.environ.get("RUNTIME_OFF", ""),
        "PYTHONPATH": str(ROOT),
    }
    return kept | theirs | (ours if target.flavour == "blueprint" else {})
