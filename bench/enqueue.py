"""Publish no-op tasks: `python -m bench.enqueue delay|batch COUNT`; prints the seconds that it took."""

from __future__ import annotations

import sys
import time

from bench.tasks import app, noop
from celery_runtime import publishing

how, count = sys.argv[1], int(sys.argv[2])
noop.delay()  # connects, and declares the queue
start = time.perf_counter()
if how == "batch":
    publishing.publish(app, [noop.s() for _ in range(count)])
else:
    for _ in range(count):
        noop.delay()
print(time.perf_counter() - start)
