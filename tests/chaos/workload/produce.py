"""Publish tasks as a service would, and write the ids of those that the broker accepted into the ledger.

One JSON argument: task, count, prefix of the ids, keyword arguments, options of `apply_async`, and a rate per second.
An error of the publisher means "not accepted", whatever the broker did with the message.
"""

from __future__ import annotations

import json
import sys
import time

from celery.exceptions import CeleryError
from kombu.exceptions import KombuError, OperationalError
from workload.app import RUN, app, ledger, publish_chord, publish_garbage

TOGETHER = 100  # ids written to the ledger in one go


def main(order):
    app.set_default()
    accepted, errors, began = [], 0, time.monotonic()
    for number in range(order["count"]):
        if order["rate"]:
            time.sleep(max(0, began + number / order["rate"] - time.monotonic()))
        try:
            accepted += publish(order, f"{order['prefix']}{number}")
        except (KombuError, OperationalError, CeleryError, OSError) as error:
            errors += 1
            print(f"not accepted: {type(error).__name__}: {error}", flush=True)
        if len(accepted) >= TOGETHER or order["rate"]:
            store(accepted)
    store(accepted)
    ledger().hincrby(f"errors:{RUN}", order["prefix"], errors)


def publish(order, task_id):
    if order["task"] == "chord":
        return publish_chord(task_id, **order["kwargs"])
    if order["task"] == "garbage":
        return publish_garbage(task_id)
    app.send_task(order["task"], kwargs=order["kwargs"], task_id=task_id, **order["options"])
    return [task_id]


def store(accepted):
    if accepted:
        ledger().sadd(f"accepted:{RUN}", *accepted)
        accepted.clear()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
