"""Every part of Celery that the direct pool leans on and that has no public name. Read in Celery 5.7.0.

| module                        | what is used of it                                                                  |
|-------------------------------|-------------------------------------------------------------------------------------|
| celery/app/trace.py           | a task's tracer, `__trace__`; what it returns; what it calls after storing a result |
| celery/concurrency/prefork.py | what a pool child does first and last                                               |
| celery/worker/request.py      | what the parent does with an outcome; the dictionary that becomes `task.request`    |
| celery/worker/strategy.py     | how the class of a task's requests is made                                          |
| celery/worker/state.py        | what runs, and what is revoked                                                      |
| celery/events/dispatcher.py   | the buffer of events, `_group_buffer`                                               |
"""

from __future__ import annotations

import json
import logging
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import signals, states
from celery.app.trace import LOG_RECEIVED, task_has_custom
from celery.concurrency import prefork
from celery.utils.imports import symbol_by_name
from celery.utils.serialization import get_pickleable_etype, get_pickleable_exception
from celery.worker import state, strategy
from celery.worker.request import Request

from celery_runtime.event_batches import Encoded

STRATEGY = "celery.worker.strategy:default"
initialize = prefork.process_initializer  # (app, hostname): builds the tracers, sends worker_process_init
destroy = prefork.process_destructor  # (pid, exit code)

# What runs after a success is stored, and may look for it.
_AFTER_STORING = (signals.task_success, signals.task_postrun)
_HOOKS = ("on_success", "after_return")
# Django's, which closes connections to databases, and the one that ends a span.
_LOOKS_FOR_NOTHING = ("celery.fixups.", "celery_runtime.tracing.")


def runs_plainly(task: Any) -> bool:
    """Whether a child may do for `task` what the parent would do with stock's strategy and request."""
    request = symbol_by_name(task.Request)
    known = (Request.__module__, "celery_runtime")
    own = [base for base in request.__mro__ if issubclass(base, Request) and not base.__module__.startswith(known)]
    return bool(task.Strategy == STRATEGY and not own and task.acks_late and not task.rate_limit)


def somebody_hears_of_receipts() -> bool:
    """Whether this process is to be told of each task that is received, which children are not."""
    return bool(signals.task_received.receivers)


def log_receipt(work: Any) -> None:
    """Log what stock's strategy does, for whoever looks for a task's first line."""
    if not strategy.logger.isEnabledFor(logging.INFO):
        return
    request, name = work.request, work.request.get("shadow") or work.task.name
    args, kwargs = request.get("argsrepr") or "", request.get("kwargsrepr") or ""
    context = {"id": work.id, "name": name, "args": args, "kwargs": kwargs, "eta": None}
    strategy.logger.info(LOG_RECEIVED, context, extra={"data": context})


def nobody_looks_after(task: Any) -> bool:
    """Whether nothing in this process runs between the storing of the success of `task` and its end."""
    receivers = [receiver for signal in _AFTER_STORING for _, receiver in signal.receivers or ()]
    called = [receiver() if isinstance(receiver, weakref.ReferenceType) else receiver for receiver in receivers]
    looking = [each for each in called if not getattr(each, "__module__", "").startswith(_LOOKS_FOR_NOTHING)]
    return not looking and not any(task_has_custom(task, hook) for hook in _HOOKS)


def request_of(
    headers: dict[str, Any], properties: dict[str, Any], info: dict[str, Any], body: list[Any], hostname: str
) -> dict[str, Any]:
    """What `task.request` is made of, as Request.__init__ and fast_trace_task put it together."""
    args, kwargs, embed = body
    return {
        **headers,
        "properties": properties,
        "reply_to": properties.get("reply_to"),
        "correlation_id": properties.get("correlation_id"),
        "hostname": hostname,
        "delivery_info": {
            "exchange": info.get("exchange"),
            "routing_key": info.get("routing_key"),
            "priority": properties.get("priority"),
            "redelivered": info.get("redelivered", False),
        },
        "args": args,
        "kwargs": kwargs,
        "is_eager": False,
        **(embed or {}),
    }


def is_settled_by(info: Any, task: Any) -> bool:
    """Whether the message of a task that ended so is simply acknowledged. `info`: what the tracer says, or None.

    A MemoryError is a failure as any other. Stock raises it in the parent, whose pool logs it and keeps the message.
    """
    if info is None or info.state in (states.RETRY, states.IGNORED):
        return True
    return bool(info.state == states.FAILURE and task.acks_on_failure)


def current_error() -> ExceptionInfo:
    """The exception that is being handled, fit to be sent to the parent."""
    found = ExceptionInfo()
    found.exception = get_pickleable_exception(found.exception)
    found.type = get_pickleable_etype(found.type)
    return found


def request_class(task: Any, consumer: Any) -> Any:
    """The class that Celery's strategy makes for the requests of `task`."""
    base = symbol_by_name(task.Request)
    eventer = consumer.event_dispatcher
    return strategy.create_request_cls(base, task, consumer.pool, consumer.hostname, eventer, app=consumer.app)


def as_raised(error: Exception) -> ExceptionInfo:
    """What Celery is told of an error that the parent reports."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()


@contextmanager
def current(callback: Any) -> Iterator[None]:
    """Let the task of a request, of which `callback` is a method, know the request while it is told of its hard limit.

    Celery's pools tell of a limit twice, as of any other failure with the request first: listeners look for it there.
    """
    request = getattr(callback, "__self__", None)
    if not isinstance(request, Request):
        yield
        return
    request.task.request_stack.push(request._context)  # noqa: SLF001
    try:
        yield
    finally:
        request.task.request_stack.pop()


def unix_time(monotonic: float) -> float:
    return time.time() - (time.monotonic() - monotonic)


def accept(request: Any, pid: int, began: float) -> None:
    """Note the start of a task that a child began itself, at `began` (Unix seconds)."""
    request.worker_pid = pid
    request.time_start = began
    state.task_reserved(request)
    state.active_requests.add(request)


def buffer_event(eventer: Any, text: str) -> None:
    """Add an event to what is sent next: the JSON of an object that ends before the value of its clock."""
    text = f"{text}{eventer.clock.forward()}}}"
    buffer = eventer._group_buffer["task"]  # noqa: SLF001
    buffer.append(Encoded(text) if getattr(eventer, "takes_encoded", False) else json.loads(text))
    if len(buffer) >= eventer.buffer_limit:
        eventer.flush(errors=False)


def apply_remote_control(consumer: Any, before: Any, after: Any) -> None:
    """Call `before` and `after` around each command of remote control."""
    boxes = [step.box for step in consumer.steps if hasattr(step, "box")]
    for node in [box.node for box in boxes if "handle" not in vars(box.node)]:
        _surround(node, before, after)


def _surround(node: Any, before: Any, after: Any) -> None:
    handle = node.handle

    def handle_informed(*args: Any, **kwargs: Any) -> Any:
        before()
        try:
            return handle(*args, **kwargs)
        finally:
            after()

    node.handle = handle_informed


def hear_of_revocations(tell: Any) -> None:
    """Call `tell` with every id that is revoked in this process, those of before first."""
    revoked = state.revoked
    tell(list(revoked))
    add, update = revoked.add, revoked.update

    def add_and_tell(item: Any, *args: Any, **kwargs: Any) -> None:
        add(item, *args, **kwargs)
        tell([item])

    def update_and_tell(other: Any) -> None:
        update(other)
        tell(list(other))

    revoked.add, revoked.update = add_and_tell, update_and_tell
