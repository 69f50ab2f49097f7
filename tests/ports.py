"""Ports for servers of tests.

A port that the kernel chooses (bind to 0) is one that it may give to anybody's outgoing connection a moment later, and
with several test processes it does. So these are below the range that it chooses from, and each process of
pytest-xdist has a part of its own.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from itertools import cycle

FIRST, EACH, PARTS = 12_000, 2_000, 9  # up to 30 000, where Kubernetes's node ports begin; Linux chooses from 32 768 on


def _own_part() -> Iterator[int]:
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PARTS
    begin = secrets.randbelow(EACH)  # two runs of the tests at once hardly meet
    return cycle(FIRST + part * EACH + (begin + n) % EACH for n in range(EACH))


_candidates = _own_part()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses at the moment, and that this process has not named before."""
    return next(port for port in _candidates if _is_free(port))


def free_ports(names: Iterable[str]) -> dict[str, str]:
    """A free port for each variable."""
    return {name: str(free_port()) for name in names}


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
