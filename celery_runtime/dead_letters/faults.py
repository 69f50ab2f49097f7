"""What is wrong with a message, found before Celery acts on it.

Celery's own checks come after it has used what they check: a body that is no list of three, a missing id or a task name
that is no text end the worker with a traceback, and so the next one, and the next. Read in Celery 5.7.0:
worker/consumer/consumer.py (create_task_handler), worker/strategy.py, worker/request.py.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

from kombu.exceptions import ContentDisallowed

from celery_runtime.decoding import decode

JSON = "application/json"
DELIVERIES = "x-delivery-count"  # header: how many workers were lost with the message; quorum queues set it


class Fault(NamedTuple):
    """Why a message is parked; `reason` is one of REASONS."""

    reason: str
    detail: str


def fault_of(message: Any, known: Container[str], delivery_limit: int) -> Fault | None:
    """Return what keeps `message` from being run, or None. `known`: the names of this worker's tasks."""
    lost = message.headers.get(DELIVERIES)
    if isinstance(lost, int) and lost >= delivery_limit:
        return Fault("poison", f"{lost} workers were lost with it (DELIVERY_LIMIT = {delivery_limit})")
    try:
        payload = _payload(message)
    except ContentDisallowed:
        return Fault("content-type", f"{message.content_type!r} is not accepted, only JSON")
    except Exception as error:  # noqa: BLE001  a decoder may raise anything
        return Fault("undecodable" if "task" in message.headers else "not-a-task", f"{message.content_type!r}: {error}")
    header = message.headers if "task" in message.headers else payload
    if not isinstance(header, dict) or not isinstance(header.get("task"), str):
        return Fault("not-a-task", "it names no task")
    if header["task"] not in known:
        return Fault("unknown-task", f"no task is registered as {header['task']!r}")
    options = header if header is message.headers else {**header, **message.headers}
    wrong = wrong_options(options) or wrong_arguments(payload)
    return Fault("arguments", wrong) if wrong else None


def _payload(message: Any) -> Any:
    """What `message.payload` is, and will be for Celery, which looks into it too; raises what it raises."""
    body = message.body
    if message.content_type == JSON and message.content_encoding == "utf-8" and JSON in (message.accept or ()) and body:
        message._decoded_cache = decode(body if isinstance(body, str) else bytes(body).decode())  # noqa: SLF001
    return message.payload


def wrong_options(header: dict[str, Any]) -> str:
    """What is wrong with the options of a task message, in words; empty when nothing is."""
    if not isinstance(header.get("id"), str) or not header["id"]:
        return f"id = {header.get('id')!r} is not a text"
    retries, limits = header.get("retries"), header.get("timelimit")
    if retries is not None and (not isinstance(retries, int) or retries < 0):
        return f"retries = {retries!r} is not a count"
    if limits and not _are_limits(limits):
        return f"timelimit = {limits!r} is not a pair of seconds"
    stamped = header.get("stamped_headers")
    if stamped and not isinstance(stamped, list):
        return f"stamped_headers = {stamped!r} is not a list"
    return ""


def _are_limits(limits: Any) -> bool:
    is_pair = isinstance(limits, list | tuple) and len(limits) == 2
    return is_pair and all(limit is None or isinstance(limit, int | float) for limit in limits)


def wrong_arguments(payload: Any) -> str:
    """The same of the decoded body."""
    if isinstance(payload, dict):  # protocol 1
        args, kwargs, embed = payload.get("args", ()), payload.get("kwargs", {}), None
    elif isinstance(payload, list | tuple) and len(payload) == 3:
        args, kwargs, embed = payload
    else:
        return "the body is not [arguments, keyword arguments, options]"
    if not isinstance(args, list | tuple):
        return f"the arguments are a {type(args).__name__}, not a list"
    if not isinstance(kwargs, dict):
        return f"the keyword arguments are a {type(kwargs).__name__}, not an object"
    if embed is not None and not isinstance(embed, dict):
        return f"the options are a {type(embed).__name__}, not an object"
    return ""
