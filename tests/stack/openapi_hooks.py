"""Loaded by Schemathesis: lets made-up requests reach what is behind an id, and keeps them from filling the queues.

Requests that are meant to be wrong stay as they are: changed, they might be right, and would count as wrongly accepted.
"""

from __future__ import annotations

import json
import os
from collections import Counter

import schemathesis
from schemathesis.generation import GenerationMode

KNOWN = json.loads(os.environ["KNOWN_IDS"])  # by the name of a parameter or a field
# Of POST /faults/{name}: 100 000 tasks of an hour each are allowed there.
AT_MOST = {"count": 3, "seconds": 0.01, "countdown": 0.01}
asked: Counter[str] = Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE:
        return
    asked[case.operation.label] += 1
    if asked[case.operation.label] % 2:  # the other half asks for what does not exist
        case.path_parameters = _known(case.path_parameters)
        if isinstance(case.body, dict):  # what is set is judged anew: an absent body, as a wrong one
            case.body = _known(case.body)
    if case.operation.path.startswith("/faults/") and isinstance(case.body, dict):
        for name, most in AT_MOST.items():
            if isinstance(case.body.get(name), int | float):
                case.body[name] = min(case.body[name], most)


def _known(values):
    found = values or {}
    return {name: KNOWN[name] if name in KNOWN and isinstance(value, str) else value for name, value in found.items()}
