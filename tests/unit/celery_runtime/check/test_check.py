"""`celery-runtime check`, as a process of its own: it imports what it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from celery_runtime.queues import load_queues

ROOT = Path(__file__).parents[4]
HERE = Path(__file__).parent
PLANTED = {
    ("error", "import", "broken/gone.py:1"),
    ("error", "name-twice", "broken/work.py:14"),
    ("error", "name-main", "broken/work.py:44"),
    ("error", "queue", "broken/work.py:9"),
    ("error", "schedule-task", ""),
    ("error", "queue", ""),
    ("error", "format", ""),
    ("error", "format", "broken/work.py:39"),
    ("warning", "setting", ""),
    ("error", "eager", ""),
    ("warning", "results", ""),
    ("warning", "early-ack", "broken/work.py:19"),
    ("warning", "retries", "broken/work.py:24"),
    ("error", "limits", "broken/work.py:29"),
    ("error", "drain", "broken/work.py:34"),
}


def check(app, *options, folder=HERE, queues="[queues.default]\n", command="check", tmp_path):
    file = tmp_path / "queues.toml"
    file.write_text(queues)
    environ = {"PATH": os.environ["PATH"], "CELERY_APP": app, "QUEUES_FILE": str(file), "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-m", "celery_runtime", command, *options]
    return subprocess.run(arguments, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_every_planted_fault_is_found_and_nothing_else(tmp_path):
    result = check("broken.main:app", "--json", tmp_path=tmp_path)

    found = json.loads(result.stdout)
    assert {(each["severity"], each["rule"], each["where"]) for each in found} == PLANTED
    assert len(found) == len(PLANTED) and result.returncode == 1
    assert all(each["text"] and each["remedy"] for each in found)


def test_the_report_for_people_names_place_fault_and_remedy(tmp_path):
    result = check("broken.main:app", tmp_path=tmp_path)

    assert (
        "broken/work.py:9: error: the task broken.work.export goes to the queue 'exports', which no worker serves"
        in (result.stdout)
    )
    assert "\n  Add [queues.exports] to queues.toml, or route it to one of default.\n" in result.stdout
    assert result.stdout.endswith("8 tasks checked, 11 errors, 4 warnings\n") and not result.stderr


@pytest.mark.parametrize(
    ("app", "folder"), [("app.celery:app", ROOT), ("anyapp:app", ROOT / "tests/integration/anyapp")]
)
def test_an_app_without_faults(tmp_path, app, folder):
    result = check(app, "--json", folder=folder, queues=(ROOT / "queues.toml").read_text(), tmp_path=tmp_path)

    assert (result.returncode, json.loads(result.stdout)) == (0, []), result.stderr


def test_an_app_that_cannot_be_imported_is_an_error_with_its_place(tmp_path):
    result = check("broken.gone:app", tmp_path=tmp_path)

    assert result.returncode == 1 and "broken/gone.py:1: error: CELERY_APP = broken.gone:app" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_proposed_file_holds_every_queue_and_the_longest_limit_of_its_tasks(tmp_path):
    result = check("broken.main:app", tmp_path=tmp_path, command="queues")

    (tmp_path / "queues.toml").write_text(result.stdout)
    queues = load_queues(tmp_path / "queues.toml")
    assert {name: queue.time_limit for name, queue in queues.items()} == {"default": 3600, "exports": 60}
    assert "broken/gone.py:1: error" in result.stderr


def test_the_proposal_for_the_blueprints_own_app_has_its_queues(tmp_path):
    result = check("app.celery:app", folder=ROOT, tmp_path=tmp_path, command="queues")

    (tmp_path / "queues.toml").write_text(result.stdout)
    assert set(load_queues(tmp_path / "queues.toml")) == set(load_queues(ROOT / "queues.toml"))
