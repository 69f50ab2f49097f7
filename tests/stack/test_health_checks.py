"""A health check that cannot fail checks nothing: each is run by hand against a process that stands still."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

from tests.stack.stack import run, wait_for

# Where the container's first process only waits for the one that serves.
HAS_CHILDREN = {"rabbitmq"}


def test_each_check_fails_while_its_process_stands_still_and_passes_after(stack):
    checked = {name: c for name, c in stack.containers().items() if c["Config"].get("Healthcheck")}
    assert {"api", "beat", "worker-default", "worker-media", "redis", "postgres"} <= set(checked)
    with ThreadPoolExecutor(4) as threads:
        verdicts = dict(zip(checked, threads.map(freeze_and_check, checked.items()), strict=True))
    assert verdicts == dict.fromkeys(checked, "failed, then passed")
    assert {name: c["RestartCount"] for name, c in stack.containers().items() if c["RestartCount"]} == {}


def freeze_and_check(item):
    name, container = item
    wait_for(f"a healthy {name}", lambda: check(container))
    signal(name, container, "STOP")
    try:
        passed_frozen = check(container)
    finally:
        signal(name, container, "CONT")
    if passed_frozen:
        return "passed while nothing ran"
    wait_for(f"a healthy {name}", lambda: check(container))
    return "failed, then passed"


def signal(name, container, which):
    identity = container["Id"]
    assert run(["docker", "kill", "--signal", which, identity]).returncode == 0
    if name in HAS_CHILDREN:
        run(["docker", "exec", identity, "sh", "-c", f"kill -{which} -1"])


def check(container):
    """Runs the container's own check; like Docker, takes one that exceeds its time for a failure."""
    check = container["Config"]["Healthcheck"]
    kind, *command = check["Test"]
    if kind == "CMD-SHELL":
        command = ["sh", "-c", *command]
    try:
        result = run(["docker", "exec", container["Id"], *command], timeout=check["Timeout"] / 1e9)
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0
