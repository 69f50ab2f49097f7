"""Writes down which of Celery's signals a process sent, without a line in its app: HEAR names them, HEARD is the file.

Each line has the signal, the task, its id and the process' id, or an empty text for what there is none.
"""

import json
import os
from pathlib import Path


def listen(name):
    from celery import signals

    def hear(sender=None, **told):
        task = told.get("task") or sender
        request = told.get("request") or getattr(task, "request", None)
        known = told.get("task_id") or getattr(request, "id", None) or (told.get("headers") or {}).get("id")
        called = getattr(request, "name", None) or getattr(task, "name", None) or (sender if "publish" in name else "")
        write(name, str(called or ""), str(known or "") if name.startswith(("task", "before", "after")) else "")

    getattr(signals, name).connect(hear, weak=False)


def write(*words):
    line = json.dumps([*words, os.getpid()]) + "\n"
    with Path(os.environ["HEARD"]).open("a") as file:
        file.write(line)


for each in os.environ.get("HEAR", "").split():
    listen(each)
