from __future__ import annotations

import pytest
from celery.exceptions import Reject

from celery_runtime.tasks.retry import RetryingTask


def test_it_is_published_under_its_id_for_later_with_all_the_tries_that_it_had(app):
    @app.task(base=RetryingTask, bind=True)
    def patient(self, n):
        return self.postpone(0, "not yet").when

    request = {"id": "7", "args": [3], "kwargs": {}, "retries": 2, "delivery_info": {}, "called_directly": False}
    with app.connection_for_write() as connection:
        connection.default_channel.queue_declare("celery")
        connection.default_channel.queue_purge("celery")  # all tests of a process share this broker
        patient.push_request(**request)
        try:
            assert patient.run(3) == 1, "never at once"
        finally:
            patient.pop_request()
        headers = connection.default_channel._get("celery")["headers"]
    assert (headers["id"], headers["retries"]) == ("7", 2) and headers["eta"]


def test_one_that_cannot_be_published_goes_back_to_its_queue(app, monkeypatch):
    @app.task(base=RetryingTask, bind=True)
    def patient(self):
        return self.postpone(1, "not yet")

    monkeypatch.setattr(app.amqp, "send_task_message", lambda *_, **__: 1 / 0)
    patient.push_request(id="7", args=[], kwargs={}, is_eager=False, delivery_info={}, called_directly=False)
    try:
        with pytest.raises(Reject) as rejected:
            patient.run()
    finally:
        patient.pop_request()
    assert rejected.value.requeue
