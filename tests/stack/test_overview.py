"""The Overview says what is wrong and where, for what goes wrong most often; each is brought about for real."""

from __future__ import annotations

from uuid import uuid4

import pytest

from grafana.queries import dashboards, filled, panels
from tests.stack.stack import wait_for

pytestmark = pytest.mark.slow

OVERVIEW = {
    panel.title: panel for panel in panels("overview", dashboards()["overview"]) if panel.row != "Is it healthy"
}
SEEN = 180  # seconds; most is seen within 40, and a busy machine takes three times as long


class Overview:
    """What its panels show now, by title."""

    def __init__(self, stack):
        self.stack = stack

    def names(self, title, *labels, above=0.0):
        """Of the values of `labels` of each series whose value is above, those with the largest first."""
        rows = [row for expr, _ in OVERVIEW[title].queries for row in self.stack.query(filled(expr, {}))]
        rows = sorted((row for row in rows if float(row["value"][1]) > above), key=lambda row: -float(row["value"][1]))
        return [tuple(row["metric"].get(label) for label in labels) for row in rows]


@pytest.fixture
def overview(stack):
    yield Overview(stack)
    stack.compose("exec", "-T", "api", "celery-runtime", "dead-letters", "purge", "--yes")


def test_a_slow_ai_service_is_its_task_and_its_queue(stack, overview):
    user = stack.api.post("/users", json={"email": f"{uuid4().hex}@example.com", "name": "Slow"}).json()["id"]
    for number in range(48):
        body = {"user_id": user, "body": f"Number {number}. [[delay=18]]"}
        assert stack.api.post("/posts", json=body).status_code == 201
    task = ("app.tasks.ai.check_facts", "ai")
    wait_for("busy slots", lambda: ("ai",) in overview.names("Busy slots", "worker", above=0.5), SEEN)
    wait_for("what waits", lambda: ("ai",) in overview.names("Waiting", "queue"), SEEN)
    wait_for("the task", lambda: overview.names("Where the time goes", "task", "queue")[:1] == [task], SEEN)


def test_a_poison_task_is_its_name_its_queue_and_the_worker_that_it_kills(stack, overview):
    assert stack.api.post("/faults/crash", json={"count": 1, "queue": "backup"}).status_code == 202
    task = ("app.tasks.faults.crash", "backup")  # whose worker no other test makes lose a process
    wait_for("the worker", lambda: ("backup",) in overview.names("Processes lost", "worker"), SEEN)
    wait_for("the queue", lambda: ("backup",) in overview.names("Parked as dead letters", "queue"), SEEN)
    wait_for("the task", lambda: task in overview.names("Failed", "task", "queue"), SEEN)
    told = ("DeadLetters", "backup")
    wait_for("the alert", lambda: told in overview.names("Alerts", "alertname", "queue"), SEEN)


def test_a_broker_that_was_restarted_is_in_every_worker_at_once(stack, overview):
    assert stack.compose("restart", stack.broker).returncode == 0
    workers = {(name.removeprefix("worker-"),) for name in stack.containers() if name.startswith("worker-")}
    seen = set()  # on the graph; a busy machine lets one connect a minute after the other

    def every():
        seen.update(overview.names("Connections lost", "worker"))
        return seen == workers

    wait_for("every worker", every, SEEN)


def test_a_worker_out_of_memory_is_that_worker_and_what_it_ran(stack, overview):
    assert stack.api.post("/faults/hog_memory", json={"count": 1, "queue": "email"}).status_code == 202
    wait_for("the worker", lambda: ("email",) in overview.names("Processes lost", "worker"), SEEN)
    task = ("app.tasks.faults.hog_memory", "email")
    lists = ("Failed", "Retried", "Delivered again")
    wait_for("the task", lambda: any(task in overview.names(title, "task", "queue") for title in lists), SEEN)
