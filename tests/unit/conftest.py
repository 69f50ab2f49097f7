from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """The settings of whoever runs the tests must not decide what they see."""
    ours = (
        "REDIS_",
        "RABBITMQ_",
        "FLOWER_",
        "HEALTH_",
        "CELERY_",
        "BROKER",
        "QUEUES_FILE",
        "RUNTIME_",
        "VISIBILITY_",
        "SENTINEL_",
        "DELIVERY_",
    )
    for name in os.environ:
        if name.startswith(ours):
            monkeypatch.delenv(name)
