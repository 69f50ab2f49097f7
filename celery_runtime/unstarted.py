"""Tasks that a worker has and has not begun: in the line before its pool, in the pool, or waiting for their time.

And those on the way between it and its pool children, when the loop is interrupted.

Read in Celery 5.7.0: celery/worker/worker.py (`_process_task_sem`), celery/worker/consumer/consumer.py (`on_close`),
celery/concurrency/asynpool.py (`outbound_buffer`, `_write_to`) and thread.py (`ApplyResult`).
"""

from __future__ import annotations

from inspect import isgenerator
from multiprocessing.connection import wait
from select import POLLIN, POLLOUT, poll
from time import monotonic
from typing import Any

from celery.worker import state

HEAR = 0.5  # seconds; a child that is free begins within milliseconds


def keep_results(pool: Any) -> None:
    """Let the futures of a pool of threads keep their results: a request refers to its result weakly only."""
    if not hasattr(pool, "executor") or "on_apply" in vars(pool):
        return
    apply = pool.on_apply

    def on_apply(*args: Any, **kwargs: Any) -> Any:
        result = apply(*args, **kwargs)
        result.f.kept = result
        result.f.add_done_callback(lambda future: delattr(future, "kept"))
        return result

    pool.on_apply = on_apply


def keep_transfers(hub: Any) -> None:
    """Let nothing be torn apart that is half read from a child of prefork, or half written to it.

    When a connection breaks, Celery resets the loop and with it forgets such a transfer. The next answer of the child
    then begins in the middle of this one; the child hangs, and what it runs ends with its time limit.
    """
    if hub is None or "reset" in vars(hub):  # without a loop, or seen before
        return
    reset = hub.reset

    def reset_between_transfers() -> None:
        finish_transfers(hub)
        reset()

    hub.reset = reset_between_transfers


def finish_transfers(hub: Any) -> None:
    """Go on with what is half read or half written, for at most HEAR seconds: the child does nothing else meanwhile."""
    deadline = monotonic() + HEAR
    directions = ((hub.readers, POLLIN), (hub.writers, POLLOUT))
    while under_way := [(number, event) for handlers, event in directions for number in _transfers(handlers)]:
        poller = poll()
        for number, event in under_way:
            poller.register(number, event)
        ready = poller.poll(max(deadline - monotonic(), 0) * 1000)
        if not ready:
            return
        for number, _ in ready:
            _go_on(hub, hub.readers if number in _transfers(hub.readers) else hub.writers, number)


def _transfers(handlers: dict[int, Any]) -> list[int]:
    return [number for number, (handler, _) in handlers.items() if isgenerator(handler)]


def _go_on(hub: Any, handlers: dict[int, Any], number: int) -> None:
    transfer = handlers[number][0]
    try:
        next(transfer)
    except (StopIteration, OSError, EOFError):
        if handlers.get(number, (None,))[0] is transfer:
            hub.remove(number)


def hear_of_starts(consumer: Any) -> None:
    """Wait until the children of prefork have said that they began what was written to them, for at most HEAR seconds.

    Otherwise such a task looks as if it had not begun, goes back and runs twice.
    """
    pool = consumer.pool._pool  # noqa: SLF001
    written = getattr(pool, "_cache", {})
    deadline = monotonic() + HEAR
    while any(job._write_to and not job._accepted for job in tuple(written.values())):  # noqa: SLF001
        readable = wait(list(pool._fileno_to_outq), deadline - monotonic())  # noqa: SLF001
        if not readable:
            return
        for number in readable:
            pool.handle_result_event(number)
        finish_transfers(consumer.hub)


def show_running(consumer: Any) -> None:
    """Let Celery's state name every task that runs, also those that the children of the direct pool fetched."""
    if hasattr(consumer.pool, "show_running"):
        consumer.pool.show_running()


def withdraw_all(consumer: Any, tags: set[str] | None = None) -> list[Any]:
    """Take the tasks that have not begun, or those with these delivery tags, out of their lines.

    Returns their requests, whose messages nothing here will touch any more.
    """
    waiting = [*(state.reserved_requests - state.active_requests), *state.scheduled_requests]
    wanted = [request for request in waiting if tags is None or request.message.delivery_tag in tags]
    withdrawn = [request for request in wanted if _withdraw(consumer, request)]
    for request in withdrawn:
        state.task_ready(request)
    return withdrawn


def _withdraw(consumer: Any, request: Any) -> bool:
    """Take a task away from the timer, the line before the pool, or the pool; returns whether it had not begun."""
    if request in state.scheduled_requests:
        consumer.timer.cancel(request._eta_timer_entry)  # noqa: SLF001
        return True
    line: Any = getattr(consumer.controller.semaphore, "_waiting", ())  # of prefork: until a child is free
    for waiter in tuple(line):
        if request in waiter[1]:
            line.remove(waiter)
            return True
    result = request._apply_result and request._apply_result()  # noqa: SLF001
    if hasattr(result, "f"):  # of a pool of threads: a future
        return bool(result.f.cancel())
    unwritten: Any = getattr(consumer.pool._pool, "outbound_buffer", ())  # noqa: SLF001 -- of prefork
    if result is None or result not in unwritten:
        return False
    unwritten.remove(result)
    result.discard()
    return True
