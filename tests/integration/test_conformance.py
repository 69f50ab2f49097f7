"""A part of kombu's and Celery's own tests; `make conformance` runs them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PART = "BasicFunctionality or Message or Priority or EventLoop or test_group_chains or test_inspect"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_passes_with_stock_celery_passes_with_the_runtime():
    command = [sys.executable, "-m", "tests.conformance", "-k", PART]

    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
