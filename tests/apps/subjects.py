"""The three examples: where each one's app is, its queues and tasks, and how it is told its broker by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Subject:
    """app: as CELERY_APP names it. tasks: the name of each by what it does. broker, results: its own variables."""

    name: str
    app: str
    queues: tuple[str, ...]
    tasks: dict[str, str]
    broker: str
    results: str | None = None

    @property
    def folder(self):
        return EXAMPLES / self.name

    def variables(self, folder):
        """What the app needs wherever it runs; `folder` is the test's."""
        if self.name == "django":
            return {"DJANGO_SECRET_KEY": "of a test"}
        return {"PRICES_AUDIT": str(folder / "audit")} if self.name == "plain" else {}


def named(module, **names):
    return {role: f"{module}.{name}" for role, name in names.items()}


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(
            "django",
            "conf.celery:app",
            ("default",),
            named("samples.tasks", add="add", retry="retry", fail="fail", sleep="sleep")
            | {"total": "celery.accumulate"},
            "CELERY_BROKER_URL",
        ),
        Subject(
            "flask",
            "make_celery:celery_app",
            ("default", "mail"),
            named("newsletter.tasks", add="count", total="total", retry="deliver", fail="bounce", sleep="wait"),
            "FLASK_CELERY__broker_url",
            "FLASK_CELERY__result_backend",
        ),
        Subject(
            "plain",
            "prices:app",
            ("default", "shops"),
            named("prices", add="add", total="total", retry="ask", fail="ask_closed", sleep="wait", audited="lowest"),
            "PRICES_BROKER",
            "PRICES_RESULTS",
        ),
    )
}
