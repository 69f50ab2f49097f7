"""Let the threads of a worker's main process do nothing at the moment that it forks a pool child.

Of the threads only the one that forks goes on in the child: a lock that another held then is held there for ever. One
of kombu's cached properties is enough: the thread that stores "FAILURE" after a hard time limit looked up the backend's
client while the next child was forked, which never got at it (once in five on a busy machine).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds that a fork waits for the threads at most. What takes longer waits for a server, and holds no lock meanwhile
# that a child takes: read in kombu 5.7.0 (utils/objects.py) and redis-py 8.1.0 (connection.py, ConnectionPool).
PATIENCE = 0.5

_changed = threading.Condition(threading.Lock())
_working = 0  # threads


@contextmanager
def hold_off() -> Iterator[None]:
    """No process is forked while the caller, a thread that forks none, is in here, but for what outlasts PATIENCE."""
    _add(1)
    try:
        yield
    finally:
        _add(-1)


def _add(number: int) -> None:
    global _working  # noqa: PLW0603  one count in a process
    with _changed:
        _working += number
        _changed.notify_all()


def _wait() -> None:
    _changed.acquire()
    _changed.wait_for(lambda: not _working, PATIENCE)


def _go_on() -> None:
    _changed.release()


def _begin_anew() -> None:
    global _changed, _working
    _changed, _working = threading.Condition(threading.Lock()), 0


os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_begin_anew)
