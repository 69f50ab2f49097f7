"""Short commands: `celery-runtime worker QUEUE`, `celery-runtime beat`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port

COMMAND = Path(sys.executable).with_name("celery-runtime")


def test_row_32_short_commands_start_a_worker_and_beat(service):
    for name, words in {"short-worker": ["worker", "backup"], "short-beat": ["beat"]}.items():
        service.health_ports[name] = free_port()
        service.start(name, [COMMAND, *words], HEALTH_PORT=service.health_ports[name], NODE_NAME=name)
    for name in ("short-worker", "short-beat"):
        service.wait(lambda name=name: service.health(name, "ready"), f"{name} to be ready")
    assert [service.stop(name) for name in ("short-worker", "short-beat")] == [0, 0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, ["worker ", "beat ", "serve one queue of queues.toml"]),
        (["wurker"], 2, ["invalid choice: 'wurker'", "choose from", "'worker'"]),
        (["worker"], 2, ["arguments are required: QUEUE"]),
        (["worker", "reports"], 2, ["there is no queue 'reports'", "Choose one of default, media", "make queue NAME="]),
    ],
)
def test_row_32_help_and_a_wrong_word(service, words, code, said):
    done = subprocess.run([COMMAND, *words], env=service.environment, capture_output=True, text=True, check=False)

    assert done.returncode == code
    shown = done.stderr if code else done.stdout
    assert "Traceback" not in shown
    for part in said:
        assert part in shown
