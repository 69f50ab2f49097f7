"""`celery-runtime check` finds nothing wrong with the examples; tests/unit has what it finds in a broken one."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.apps.conftest import of_each_example
from tests.apps.sides import PYTHON, ROOT


@pytest.fixture
def command(subject, tmp_path):
    environment = {"PATH": os.environ["PATH"], "CELERY_APP": subject.app, "PYTHONPATH": str(ROOT)}
    environment |= subject.variables(tmp_path)

    def run(*words):
        command = [PYTHON, "-m", "celery_runtime", *words]
        return subprocess.run(command, cwd=subject.folder, env=environment, capture_output=True, text=True, check=False)

    return run


@of_each_example
def test_nothing_is_wrong_with_an_example(command):
    result = command("check", "--json")

    assert (result.returncode, json.loads(result.stdout)) == (0, []), result.stderr


@of_each_example
def test_its_queues_are_those_that_are_proposed(command, subject):
    proposed = command("queues").stdout

    for queue in subject.queues:
        assert f"[queues.{queue}]" in proposed
