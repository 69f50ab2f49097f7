"""`make dev` as a real run in a folder and on ports of the test's own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
PORTS = ("API_PORT", "MAIL_HTTP_PORT", "MAIL_SMTP_PORT", "AI_PORT")


class Dev:
    """One run of `python -m app.dev`, its output in a file."""

    def __init__(self, state: Path, log: Path, environ: dict[str, str]) -> None:
        self.log_file = log
        self.environ = environ
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.dev"],
                cwd=ROOT,
                # A killed worker leaves an empty folder in TMPDIR.
                env={**os.environ, **environ, "DEV_STATE_DIR": str(state), "TMPDIR": str(state.parent)},
                stdout=out,
                stderr=out,
                start_new_session=True,  # a terminal's Ctrl-C goes to the group, and this test isn't in it
            )

    @property
    def output(self) -> str:
        return self.log_file.read_text()

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.environ['API_PORT']}"

    @property
    def mail(self) -> str:
        return f"http://127.0.0.1:{self.environ['MAIL_HTTP_PORT']}"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while "Ctrl-C ends everything" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        """Every process that this run started, with those that they started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, *words: str) -> psutil.Process:
        """The first process of the family whose command line has all the words."""
        return next(p for p in self.family() if set(words) <= set(p.cmdline()))

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def assert_nothing_is_left(self, family: list[psutil.Process]) -> None:
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, self.output
        for name in PORTS:
            with socket.socket() as client:
                assert client.connect_ex(("127.0.0.1", int(self.environ[name]))), f"{name} still answers"


@pytest.fixture
def ports():
    return free_ports(PORTS)


@pytest.fixture
def dev(tmp_path, ports):
    """dev(**environment): a run that is over when the test is, whatever happened."""
    runs: list[Dev] = []

    def start(**environ: str) -> Dev:
        log = tmp_path / f"dev-{len(runs)}.log"
        runs.append(Dev(tmp_path / "state", log, {**ports, **environ}))
        return runs[-1]

    yield start
    for run in runs:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = run.family()
            run.process.kill()
            psutil.wait_procs(family, timeout=5)
        run.process.wait()
