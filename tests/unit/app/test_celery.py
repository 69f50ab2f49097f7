from __future__ import annotations

import pytest

from app.celery import app


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("app.tasks.media.process_image", "media"),
        ("app.tasks.media.thumbnail", "media"),
        ("app.tasks.email.notify", "email"),
        ("app.tasks.ai.anything", "ai"),
        ("app.tasks.posts.announce_post", "email"),
        ("app.tasks.faults.count", "default"),
        ("app.tasks.cleanup.remove_dead_images", "default"),
    ],
)
def test_a_task_goes_to_the_queue_of_its_module(task, queue):
    assert app.amqp.router.route({}, task)["queue"].name == queue


def test_a_task_may_be_sent_elsewhere_for_once():
    assert app.amqp.router.route({"queue": "media"}, "app.tasks.faults.count")["queue"].name == "media"


def test_every_module_of_tasks_is_loaded():
    modules = {name.rpartition(".")[0] for name in app.tasks if name.startswith("app.")}
    assert modules == {f"app.tasks.{name}" for name in ("media", "email", "posts", "faults", "cleanup")}
    assert "celery_runtime.outbox.relay" in app.tasks


def test_the_process_of_a_killed_task_is_replaced_soon():
    ours = [task for name, task in app.tasks.items() if name.startswith("app.tasks.") and "image_failed" not in name]
    assert {(task.default_retry_delay, task.max_retries) for task in ours} == {(5, 3)}
