"""Runs one command of remote control, the same on both brokers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery
from celery.exceptions import DuplicateNodenameWarning

from celery_runtime import publishing
from celery_runtime.control import orders, questions
from celery_runtime.publishing import BrokerAwayError
from celery_runtime.settings import ConfigError

QUESTIONS = 3  # that one command asks, one after the other
LONGEST = 60.0  # seconds to wait for answers
COMMANDS: Mapping[str, Callable[[Celery, Any], str]] = {
    "workers": questions.workers,
    "active": questions.active,
    "scheduled": questions.scheduled,
    "registered": questions.registered,
    "revoke": orders.revoke,
    "rate": orders.rate,
    "events": orders.events,
    "consume": orders.consume,
}


def run(app: Celery, options: Any) -> int:
    """Run one command; returns its exit code. Raises ConfigError for a wrong value."""
    if not 0 < options.wait <= LONGEST:
        raise ConfigError(f"--wait = {options.wait:g} is no time to wait.\n  Write seconds, at most {LONGEST:g}.")
    app.conf.result_backend_always_retry = False  # the runtime's workers retry for ever
    warnings.simplefilter("ignore", DuplicateNodenameWarning)  # two workers of one name are two lines of the table
    timeout = QUESTIONS * options.wait + publishing.publish_timeout()  # the latter for the connection
    try:
        print(publishing.bounded(app, lambda: COMMANDS[options.command](app, options), timeout))
    except questions.NobodyError as nobody:
        print(nobody, file=sys.stderr)
        return 1
    except BrokerAwayError as error:
        print(f"The broker or the result store does not answer as it should: {error}", file=sys.stderr)
        return 1
    return 0
