from __future__ import annotations

import subprocess
import sys

PLAIN_APP = """
from celery import Celery
app = Celery("plain", broker="redis://elsewhere")

@app.task
def add(a, b):
    return a + b
"""


def run(folder, code):
    (folder / "plain.py").write_text(PLAIN_APP)
    (folder / "queues.toml").write_text("[queues.default]\n")
    environment = {"CELERY_APP": "plain:app", "PYTHONPATH": ":".join(sys.path), "REDIS_URL": "redis://broker.example/3"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.split()


def test_an_app_that_knows_nothing_of_the_runtime_gets_it(tmp_path):
    told = run(
        tmp_path,
        "from celery_runtime.wrap import app\n"
        "print(app.main, app.conf.broker_url, app.conf.task_acks_late, 'plain.add' in app.tasks)",
    )

    assert told == ["plain", "redis://broker.example/3", "True", "True"]


def test_installing_twice_changes_nothing(tmp_path):
    told = run(
        tmp_path,
        "from celery_runtime import install\n"
        "from celery_runtime.wrap import app\n"
        "steps = len(app.steps['consumer'])\n"
        "print(install(app) is app, len(app.steps['consumer']) == steps)",
    )

    assert told == ["True", "True"]
