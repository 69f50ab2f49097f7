"""`celery-runtime check` and `celery-runtime queues`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from celery_runtime.check.finding import Severity
from celery_runtime.check.proposal import propose
from celery_runtime.check.rules import RULES
from celery_runtime.check.subject import load
from celery_runtime.queues import Queue


def run(name: str, queues: Mapping[str, Queue], *, as_json: bool) -> int:
    """Print what is wrong with the app `name`, MODULE:ATTRIBUTE; returns 1 if anything is an error."""
    subject, findings = load(name, queues)
    if subject:
        findings += [finding for rule in RULES for finding in rule(subject)]
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if as_json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            print(finding)
        tasks = f"{len(subject.tasks)} tasks" if subject else "nothing"
        print(f"{name}: {tasks} checked, {errors} errors, {len(findings) - errors} warnings")
    return 1 if errors else 0


def run_proposal(name: str) -> int:
    """Print a queues.toml for the app `name`, MODULE:ATTRIBUTE; returns 1 when it cannot be imported."""
    subject, findings = load(name, {})
    for finding in findings:
        print(finding, file=sys.stderr)
    if subject is None:
        return 1
    print(propose(subject), end="")
    return 0
