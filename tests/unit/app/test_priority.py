from __future__ import annotations

import subprocess
import sys

import pytest

from app import priority
from app.celery import app


@pytest.mark.parametrize(("broker", "levels"), [("redis", "0 9"), ("rabbitmq", "5 0")])
def test_low_is_below_normal_on_either_broker(monkeypatch, broker, levels):
    monkeypatch.setenv("BROKER", broker)
    code = "from app import priority; print(priority.NORMAL, priority.LOW)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
        == levels
    )


@pytest.mark.parametrize(("given", "sent"), [(None, 5), (0, 0), (3, 3)])
def test_what_says_nothing_is_normal(queued, monkeypatch, given, sent):
    monkeypatch.setattr(priority, "NORMAL", 5)
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        channel.queue_purge(queue="default") if channel._has_queue("default") else None
        app.send_task("app.tasks.faults.count", args=["b", 0, 0], priority=given, connection=connection)
        assert channel._get("default")["properties"]["priority"] == sent
