"""Stand-ins as real processes on free ports, the way the stack runs them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


class Standin:
    """A running stand-in; `addresses` are the host:port pairs that it printed when it was ready."""

    def __init__(self, module: str, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.addresses = re.findall(r"127\.0\.0\.1:\d+", self.first_line)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal; returns the exit code, or raises when it takes as long as Docker would wait."""
        self.process.send_signal(number)
        return self.process.wait(timeout=10)


@contextlib.contextmanager
def standins() -> Iterator[Callable[..., Standin]]:
    started: list[Standin] = []

    def start_one(module: str, **environ: str) -> Standin:
        started.append(Standin(module, environ))
        return started[-1]

    yield start_one
    for standin in started:
        standin.process.kill()
        standin.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Standin]]:
    """start(module, **environment): a stand-in that ends with the test."""
    with standins() as start_one:
        yield start_one


@pytest.fixture
def mail(start: Callable[..., Standin]) -> Standin:
    """A mail stand-in of the test's own: addresses[0] is SMTP, addresses[1] HTTP."""
    return start("app.standins.mail", MAIL_HOST="127.0.0.1", MAIL_SMTP_PORT="0", MAIL_HTTP_PORT="0")


@pytest.fixture(scope="module")
def ai() -> Iterator[Standin]:
    """One AI stand-in for all tests of a module: addresses[0] is HTTP."""
    with standins() as start_one:
        yield start_one("app.standins.ai", AI_HOST="127.0.0.1", AI_PORT="0")
