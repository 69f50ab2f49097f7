"""Which of two tasks in one queue starts first. There are two levels, because that is what both brokers have.

    app.signature(name, priority=priority.LOW)

On Redis a message without a priority is the most urgent, and one of 9 the least: it starts when nothing else waits.
On RabbitMQ it is the other way round, and a quorum queue knows only 0 to 4, like no priority, and what is above. So all
that is not LOW is raised to NORMAL there, and two of three messages are normal ones while both wait.
"""

from typing import Any

from celery_runtime.settings import RuntimeSettings, load

NORMAL, LOW = (0, 9) if load(RuntimeSettings).broker == "redis" else (5, 0)
LEVELS = {"normal": NORMAL, "low": LOW}


def raise_to_normal(properties: dict[str, Any], **_: Any) -> None:
    """Receives before_task_publish. `task_default_priority` would leave out what is published by its name."""
    if properties.get("priority") is None:
        properties["priority"] = NORMAL
