"""A worker whose loop runs its tasks itself: the solo pool."""

from __future__ import annotations

import pytest

from tests.integration.runtime_worker import RuntimeWorker

HEARTBEAT = 2  # seconds
TASK = 10  # seconds; RabbitMQ drops a connection that is silent for two or three heartbeats
QUEUES = "[queues.anyapp]\npool = 'solo'\nconcurrency = 1\n"


@pytest.fixture
def worker(tmp_path, on_rabbitmq):
    with RuntimeWorker(tmp_path, on_rabbitmq, QUEUES, HEARTBEAT=HEARTBEAT) as worker:
        yield worker


def test_a_task_longer_than_rabbitmqs_patience_runs_once_and_the_worker_stays_connected(worker, tmp_path, monkeypatch):
    worker.wait(lambda: worker.tick_age() > 2 * HEARTBEAT - 1, "some heartbeats between worker and broker")
    notes = tmp_path / "notes"
    producer = worker.producer(monkeypatch)
    task = producer.send_task("anyapp.note", [str(notes), TASK])
    next_task = producer.send_task("anyapp.note", [str(notes)])

    worker.wait(notes.exists, "the task to start")
    assert worker.get("/livez")[0] == 200
    worker.wait(lambda: {task.state, next_task.state} == {"SUCCESS"}, "both tasks to end")

    assert len(notes.read_text().splitlines()) == 2
    assert "Connection to broker lost" not in worker.log() and "heartbeats missed" not in worker.log()
    producer.close()
