"""What passes is tried again, after pauses that grow and that chance decides about."""

from __future__ import annotations

import re
from uuid import uuid4

POSTS, TRIES = 6, 3
PAUSE = re.compile(r"task tries again: task_id=(\S+) name=(\S+) \S+ attempt=(\d+) reason=.Retry: Retry in (\d+)s: ")


def pauses(log, task):
    """The seconds before each further try of a task, by its id."""
    found = {}
    for task_id, name, attempt, seconds in PAUSE.findall(log):
        if name == task:
            found.setdefault(task_id, []).append(int(seconds))
            assert int(attempt) == len(found[task_id])
    return list(found.values())


def test_row_06_retry_with_backoff_and_jitter(service, user, post, mails, verdict, eventually):
    before = {worker: len(service.log(worker)) for worker in ("worker-ai", "worker-email")}
    ada = user()
    texts = [f"[[status=503]] [[times={TRIES}]] 1 + {n} = {n + 1} ({ada['id']})" for n in range(POSTS)]
    made = [post(ada, text) for text in texts]
    later = user(f"later+{uuid4().hex}@example.org")["email"]

    eventually(lambda: mails(later), "the mail that was put off")
    for each in made:
        assert eventually(lambda each=each: verdict(each), "the verdict") == "true"

    def waited(worker, task):
        return pauses(service.log(worker)[before[worker] :], task)

    assert len(mails(later)) == 1
    ((pause,),) = waited("worker-email", "app.tasks.notices.welcome")
    assert 1 <= pause <= 2
    checks = waited("worker-ai", "app.tasks.ai.check_facts")
    assert len(checks) == POSTS and {len(check) for check in checks} == {TRIES}
    longest = [1, 2, 4]
    assert all(1 <= pause <= limit for check in checks for pause, limit in zip(check, longest, strict=True))
    assert any(check != longest for check in checks), "all of them come back together"
