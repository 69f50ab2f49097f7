"""A small app of somebody else's: it knows nothing of the runtime, and its tasks do what the tests ask for."""

import os
import signal

from celery import Celery
from celery.exceptions import Reject

app = Celery("shop")


@app.task(name="shop.add")
def add(x, y):
    return x + y


@app.task(name="shop.crash", default_retry_delay=1, max_retries=1)
def crash():
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="shop.kill_worker")
def kill_worker():
    os.kill(os.getppid(), signal.SIGKILL)


@app.task(name="shop.refuse")
def refuse():
    raise Reject("not today", requeue=False)


@app.task(name="shop.retry", bind=True, max_retries=2)
def retry(self):
    if self.request.retries:
        return self.request.delivery_info["routing_key"].rpartition(".")[2]
    raise self.retry(countdown=1)


if os.environ.get("SHOP_VERSION") == "2":

    @app.task(name="shop.new")
    def new(x):
        return x
