"""One task gives the same answer eagerly, as unit tests run it, and on a real broker, as integration tests do."""

from __future__ import annotations

import json
import sys

BOTH = """
import json, sys
from app.celery import app
app.loader.import_default_modules()
task = app.tasks["app.tasks.notices.welcome"]

def answer(eager):
    app.conf.task_always_eager = eager
    result = task.delay(sys.argv[1])
    return type(result).__name__, result.get(timeout=30), result.state

print(json.dumps([answer(True), answer(False)]))
"""


def test_row_31_a_task_answers_eagerly_as_it_does_on_the_broker(service, user, mails):
    ada = user()

    said = service.run("welcome", [sys.executable, "-c", BOTH, ada["id"]])

    eager, sent = json.loads(said.splitlines()[-1])
    assert eager == ["EagerResult", ada["email"], "SUCCESS"]
    assert sent == ["AsyncResult", ada["email"], "SUCCESS"]
    assert len({mail["text"] for mail in mails(ada["email"])}) == 1 < len(mails(ada["email"]))
