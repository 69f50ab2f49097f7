"""Tasks from number to number, with which canvases are built; of stock Celery, and with the runtime by CELERY_APP.

With LISTEN set, each signal of a task is noted in the list `heard:ROOT`, and whether its result was to be seen by then.
"""

import json
import os
from pathlib import Path

from celery import Celery, signals

app = Celery("canvasapp")
if "STOCK_URL_FILE" in os.environ:
    broker, results = Path(os.environ["STOCK_URL_FILE"]).read_text().split()
    app.conf.update(broker_url=broker, result_backend=results, task_default_queue="stock", task_acks_late=True)


@app.task
def add(number, amount):
    return number + amount


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail_if_even(number):
    if number % 2 == 0:
        raise ValueError(f"{number} is even")
    return number


@app.task(bind=True, max_retries=2)
def retry_once(self, number):
    if not self.request.retries:
        raise self.retry(countdown=0.1)  # stock's two trips may else store RETRY over the SUCCESS of the next try
    return number


@app.task(ignore_result=True)
def note(number):
    return number


@app.task(bind=True)
def replaced(self, number, amount):
    return self.replace(add.s(number, amount))


def listen(name):
    signal = getattr(signals, name)

    @signal.connect(weak=False)
    def hear(sender, request=None, **_):
        request = request or sender.request
        seen = sender.backend.get(sender.backend.get_key_for_task(request.id))
        state = json.loads(seen)["status"] if seen else "PENDING"
        heard = [sender.name, request.id, request.retries, name, state]
        sender.backend.client.rpush(f"heard:{request.root_id}", json.dumps(heard))


if "LISTEN" in os.environ:
    for each in ("task_prerun", "task_postrun", "task_success", "task_failure", "task_retry"):
        listen(each)
