"""Fill the queue: `python -m bench.fill TASKS`, with the environment of the worker that will empty it."""

from __future__ import annotations

import sys

from bench.tasks import QUEUE, VARIANT, app, noop
from celery_runtime import install

if VARIANT != "stock":
    install(app)
with app.producer_pool.acquire() as producer:
    for _ in range(int(sys.argv[1])):
        noop.apply_async(producer=producer, queue=QUEUE)
