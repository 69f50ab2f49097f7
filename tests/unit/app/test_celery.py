from __future__ import annotations

from pathlib import Path

import pytest

from app.celery import app

TASKS = Path(__file__).parents[3] / "app/tasks"


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("app.tasks.media.process_image", "media"),
        ("app.tasks.media.thumbnail", "media"),
        ("app.tasks.email.notify", "email"),
        ("app.tasks.ai.check_facts", "ai"),
        ("app.tasks.notices.announce_post", "email"),
        ("app.tasks.posts.publish_post", "default"),
        ("app.tasks.search.index_post", "default"),
        ("app.tasks.counters.flush_likes", "default"),
        ("app.events.dispatch", "default"),
        ("app.tasks.faults.count", "default"),
        ("app.tasks.bills.charge_bill", "default"),
        ("app.tasks.reminders.send_notice", "email"),
        ("app.tasks.reminders.remind_of_due_bills", "default"),
        ("app.tasks.reports.daily_report", "email"),
        ("app.tasks.backup.back_up_database", "backup"),
        ("app.tasks.cleanup.remove_dead_images", "default"),
    ],
)
def test_a_task_goes_to_the_queue_of_its_module(task, queue):
    assert app.amqp.router.route({}, task)["queue"].name == queue


def test_a_task_may_be_sent_elsewhere_for_once():
    assert app.amqp.router.route({"queue": "media"}, "app.tasks.faults.count")["queue"].name == "media"


def test_every_module_of_tasks_is_loaded():
    modules = {name.rpartition(".")[0] for name in app.tasks if name.startswith("app.")}
    tasks = {f"app.tasks.{module.stem}" for module in TASKS.glob("[a-z]*.py")}
    assert modules == {*tasks, "app.events"}
    assert "celery_runtime.outbox.relay" in app.tasks


def test_the_process_of_a_killed_task_is_replaced_soon():
    ours = [task for name, task in app.tasks.items() if name.startswith("app.tasks.") and "image_failed" not in name]
    assert {(task.default_retry_delay, task.max_retries) for task in ours} == {(5, 3)}
