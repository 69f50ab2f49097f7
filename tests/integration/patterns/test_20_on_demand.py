"""Row 20: a scheduled task by hand: through the API, the operator's command, `celery call`, and a shell."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.integration.patterns.commands import celery_runtime

TASK = "app.tasks.cleanup.remove_old_effects"


def test_row_20_on_demand(service):
    answer = service.api.post("/schedule/remove-old-effects/run")
    assert answer.status_code == 202
    call = [sys.executable, "-m", "celery", "-A", "app.celery", "call", TASK]
    shell = [sys.executable, "-c", "from app.tasks.cleanup import *; print(remove_old_effects.delay().id)"]
    with ThreadPoolExecutor() as threads:  # each command is a process that starts for a second
        command = threads.submit(celery_runtime, service, "schedule run remove-old-effects")
        others = list(threads.map(service.run, ("call", "shell"), (call, shell)))
    said = command.result()[0]
    assert said.code == 0, said.err

    ids = [answer.json()["task_id"], *(text.split()[-1] for text in (said.out, *others))]
    assert len(set(ids)) == 4

    def ended(task_id):
        found = service.api.get(f"/tasks/{task_id}")
        return found.status_code == 200 and found.json()["state"] == "SUCCESS"

    service.wait(lambda: all(map(ended, ids)), "all four", pause=0.05)

    unknown = service.api.post("/schedule/none-such/run")
    assert unknown.status_code == 404 and "daily-report" in unknown.json()["remedy"]
