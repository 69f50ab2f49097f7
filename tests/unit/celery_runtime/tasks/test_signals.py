from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import signals as celery_signals

from celery_runtime.tasks import signals


class Sender:
    name = "some.task"


@pytest.fixture(autouse=True)
def connected():
    signals.connect()
    signals.connect()


def test_a_failure_is_one_line_and_one_alert(app, alerts, caplog):
    @app.task(name="fail")
    def fail():
        raise ZeroDivisionError("by zero")

    task_id = fail.apply().id
    assert [(alert["name"], alert["task_id"], alert["attempt"]) for alert in alerts] == [("fail", task_id, 1)]
    lines = [record for record in caplog.records if record.name == "celery_runtime.tasks"]
    assert [line.levelname for line in lines] == ["ERROR"]
    assert f"task_id={task_id} name=fail queue=? attempt=1 reason='ZeroDivisionError: by zero'" in lines[0].getMessage()
    assert lines[0].task["task_id"] == task_id


def test_a_revoked_task_is_a_line(app, caplog):
    request = SimpleNamespace(id="1", delivery_info={"routing_key": "media"}, request_dict={"retries": 2})
    celery_signals.task_revoked.send(sender=Sender, request=request, terminated=False, signum=None, expired=True)
    line = "task was not run: task_id=1 name=some.task queue=media attempt=3 reason='expired'"
    assert [record.getMessage() for record in caplog.records] == [line]


def test_a_task_that_its_worker_cancelled_is_a_line(app, caplog):
    request = SimpleNamespace(id="1", delivery_info={"routing_key": "media"}, retries=0)
    celery_signals.task_retry.send(sender=Sender, request=request, einfo=None)  # as celery/worker/request.py does
    line = "task tries again: task_id=1 name=some.task queue=media attempt=1 reason='cancelled, "
    assert [record.getMessage().startswith(line) for record in caplog.records] == [True]


def test_a_terminated_task_is_a_line_that_names_the_signal(app, caplog):
    request = SimpleNamespace(id="1", delivery_info={"routing_key": "media"}, request_dict={})
    celery_signals.task_revoked.send(sender=Sender, request=request, terminated=True, signum=15, expired=False)
    assert "queue=media " in caplog.records[0].getMessage() and "signal 15" in caplog.records[0].getMessage()


def test_a_broken_alert_breaks_nothing(app, alerts):
    def broken(**_):
        raise RuntimeError

    signals.task_gave_up.connect(broken)

    @app.task
    def fail():
        raise ZeroDivisionError

    assert fail.apply().state == "FAILURE" and len(alerts) == 1
    signals.task_gave_up.disconnect(broken)
