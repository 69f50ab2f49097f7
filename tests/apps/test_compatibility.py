"""Which releases of Celery and Python the runtime runs on, each in an environment of its own; the others are refused.

docs/bring-your-own-app.md has the table of what was run.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from celery_runtime.versions import SUPPORTED
from tests.apps import environments
from tests.apps.ledger import Account
from tests.apps.sides import ROOT, Side
from tests.apps.subjects import SUBJECTS

CELERY = ("5.4", "5.5", "5.6", "5.7")
PYTHON = ("3.11", "3.12", "3.13")
FITS = [each for each in CELERY if SUPPORTED["celery"][0] <= tuple(map(int, each.split("."))) < SUPPORTED["celery"][1]]
pytestmark = pytest.mark.slow


@pytest.fixture
def python(request, celery, tmp_path):
    """Python in an environment with that release of Celery."""
    path = environments.python_of(request.param)
    if not path:
        pytest.skip(f"Python {request.param} is not installed here")
    return environments.make(tmp_path / "venv", path, celery)


on_each_python = pytest.mark.parametrize("python", PYTHON, indirect=True)


@pytest.mark.parametrize("celery", FITS)
@on_each_python
def test_an_app_runs_and_loses_nothing_when_its_worker_is_killed(python, celery, place, tmp_path):
    questions = ("results", "canvas", "retries", "failures", "timing")
    plain, runtime = (
        Side(
            SUBJECTS["plain"],
            place(SUBJECTS["plain"], "redis"),
            tmp_path / name,
            runtime=name == "runtime",
            python=python,
        )
        for name in ("plain", "runtime")
    )
    answers = []
    for side in (plain, runtime):
        try:
            for queue in side.subject.queues:
                side.start_worker(queue, queue)
            answers.append(side.ask(*questions))
            if side.runtime:
                lose_nothing(side)
        finally:
            side.close()

    assert answers[0] == answers[1]
    found = environments.versions(python)
    print(f"{ {name: found[name] for name in ('celery', 'kombu', 'redis')} }")


def lose_nothing(side):
    account = Account(side)
    before, publishing = account.ended, side.publishing(40, 0.1)
    side.wait(lambda: account.ended >= before + 10, "the first tasks to end")
    side.kill_worker("default")
    side.start_worker("default", "default")
    assert publishing.wait(60) == 0
    account.settle()
    assert len(account.accepted) == 40


@pytest.mark.parametrize("celery", [each for each in CELERY if each not in FITS])
@on_each_python
def test_what_does_not_fit_is_refused_at_the_start(python, celery):
    subject = SUBJECTS["plain"]
    environment = {"PATH": os.environ["PATH"], "CELERY_APP": subject.app}
    for command in (["worker", "default"], ["beat"], ["check"], ["check-config"]):
        words = [python, "-m", "celery_runtime", *command]
        refused = subprocess.run(
            words, cwd=subject.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2 and f"celery {celery}." in refused.stderr
        assert "pip install 'celery>=" in refused.stderr and "Traceback" not in refused.stderr


def test_the_runtime_alone_installs_nothing_of_the_reference_app(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    pip = [tmp_path / "bin/pip", "install", "--quiet", "--disable-pip-version-check", ROOT]
    subprocess.run(pip, check=True, cwd=tmp_path)

    installed = {name.lower() for name in environments.versions(tmp_path / "bin/python")}
    assert {"celery", "redis"} < installed
    assert not installed & {"fastapi", "sqlalchemy", "flower", "uvicorn", "flask", "django"}
    subject = SUBJECTS["plain"]
    environment = {"CELERY_APP": subject.app, "QUEUES_FILE": str(subject.folder / "queues.toml")}
    command = [tmp_path / "bin/celery-runtime", "check"]
    checked = subprocess.run(command, cwd=subject.folder, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
