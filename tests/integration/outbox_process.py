"""A process that sends a task through the outbox and is killed at one step: `outbox_process.py STEP KEY`."""

from __future__ import annotations

import os
import signal
import sys

from celery_runtime import publishing
from tests.integration.bases_app import outbox, run, transaction


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def publish_and_die(*arguments):
    publish(*arguments)
    die()


step, key = sys.argv[1:]
publish = publishing.publish
outbox.relay.nudge = die if step == "before the publishing" else lambda _session: None
with transaction() as session:
    outbox.send(session, run.s(key))
    session.flush()
    if step == "before the commit":
        die()
publishing.publish = publish_and_die
outbox.relay.run()
