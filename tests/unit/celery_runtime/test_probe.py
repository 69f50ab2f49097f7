from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
BOUND = 0.1  # seconds of CPU: a health check runs every five seconds in every container


def cpu_of_a_check():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"PATH": os.environ["PATH"], "HEALTH_PORT": "1"}
    command = [sys.executable, "-m", "celery_runtime", "health", "live"]
    assert subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 1
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_health_check_costs_next_to_no_cpu():
    assert statistics.median(cpu_of_a_check() for _ in range(5)) < BOUND
