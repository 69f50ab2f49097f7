"""Each example is asked the same under plain Celery and under the runtime, and answers the same."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.apps.conftest import of_each_example, on_each_broker
from tests.apps.scenario import QUESTIONS
from tests.apps.sides import Side

SIGNALS = (
    "before_task_publish after_task_publish task_received task_prerun task_postrun task_success task_failure"
    " task_retry task_revoked celeryd_init celeryd_after_setup worker_init worker_ready worker_shutting_down"
    " worker_shutdown worker_process_init"
)
CHILDREN = 2  # of a worker
ALIKE = ("plain", "runtime")


@pytest.fixture(scope="module")
def answers(place, tmp_path_factory):
    """What each side answered and what was heard of it, by example and broker; asked once, both at a time."""
    known = {}

    def of(subject, broker):
        if (subject.name, broker) not in known:
            folder = tmp_path_factory.mktemp(f"{subject.name}-{broker}")
            sides = {
                name: Side(subject, place(subject, broker), folder / name, runtime=name == "runtime", hear=SIGNALS)
                for name in ALIKE
            }
            with ThreadPoolExecutor(len(sides)) as pool:
                asked = {name: pool.submit(_asked, side) for name, side in sides.items()}
            known[subject.name, broker] = asked
        return {name: asked.result() for name, asked in known[subject.name, broker].items()}

    return of


def _asked(side):
    try:
        side.set_up()
        for queue in side.subject.queues:
            side.start_worker(queue, queue)
        answers = side.ask()
        codes = [side.stop_worker(name) for name in list(side.workers)]
    finally:
        side.close()
    audit = side.folder / "audit"
    written = _counted(audit.read_text().splitlines() if audit.exists() else [], '["loader", "on_worker_process_init"]')
    heard = _counted(_signals(side), ("worker_process_init", ""))
    return answers | {"signals": heard, "audit": written, "exit codes": codes}


def _signals(side):
    """Each signal with its task. RabbitMQ keeps a countdown: what has expired or is revoked by then nobody receives."""
    heard = side.heard()
    ran = {task_id for signal, _, task_id, _ in heard if signal == "task_prerun" or side.place.broker == "redis"}
    return [(signal, task) for signal, task, task_id, _ in heard if signal != "task_received" or task_id in ran]


def _counted(what, start):
    """How often each is there; of children's starts those of the first, for one that is killed is replaced sometime."""
    counts = Counter(what)
    counts[start] = min(counts[start], CHILDREN)
    return counts


@on_each_broker
@of_each_example
@pytest.mark.parametrize("question", [question.__name__ for question in QUESTIONS] + ["signals", "audit", "exit codes"])
def test_the_answer_is_that_of_plain_celery(answers, subject, broker, question):
    plain, runtime = (answers(subject, broker)[side][question] for side in ALIKE)

    assert runtime == plain
