"""A worker counts its tasks for Prometheus, by queue and by task and by nothing that nobody asks for again."""

from __future__ import annotations

import socket
from uuid import uuid4

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.patterns.commands import scrape

COUNT, FAIL = "app.tasks.faults.count", "app.tasks.faults.fail"
COUNTED = [  # the labels' values, in the alphabetical order of the labels
    ("celery_tasks_ended_total", "succeeded", "default", COUNT),
    ("celery_tasks_ended_total", "failed", "default", FAIL),
    ("celery_task_run_seconds_count", "default", COUNT),
]
LABELS = {"queue", "task", "outcome", "reason", "state", "le"}


def test_row_29_metrics_count_the_tasks_and_name_nobody(service, send, eventually):
    def counts():
        """The samples of COUNTED, in its order."""
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for sample in samples(scrape(service, "worker-default"))
        }
        return [found.get(name, 0) for name in COUNTED]

    before = counts()
    task_id = send(COUNT, str(uuid4()), 0, 0, queue="default")
    service.fault("count", count=2)
    service.fault("fail")

    eventually(lambda: [now - then for now, then in zip(counts(), before, strict=True)] == [3, 1, 3], "the counts")
    text = scrape(service, "worker-default")
    waits = [sample for sample in samples(text) if sample.name == "celery_task_wait_seconds_count"]
    assert [sample.value >= 4 for sample in waits if sample.labels == {"queue": "default"}] == [True]
    labels = [sample.labels for sample in samples(text) if sample.name != "celery_build_info"]
    assert {label for each in labels for label in each} <= LABELS
    host = socket.gethostname()
    who = {task_id, host, f"default@{host}", str(service.processes["worker-default"].pid)}
    assert not who & {value for each in labels for value in each.values()}
    assert task_id not in text and "127.0.0.1" not in text


def samples(text):
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
