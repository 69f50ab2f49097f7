"""The health check's client: a socket and nothing else, since an interpreter that imports more costs more than it asks.

Kept apart from `health`, whose Celery imports take a hundred times longer than the question.
"""

from __future__ import annotations

import os
import socket

PATHS = {"live": "/livez", "ready": "/readyz"}
TIMEOUT = 3  # seconds


def probe(what: str) -> tuple[bool, str]:
    """Ask `live` or `ready` of this host's worker or Beat, or any plain http:// URL.

    Returns whether the answer is 200, and the answer or the reason.
    """
    if what in PATHS:
        what = f"http://127.0.0.1:{os.environ.get('HEALTH_PORT', '9808')}{PATHS[what]}"
    host, _, path = what.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    if not what.startswith("http://") or not port.isdigit() or not 0 < int(port) < 65536:
        return (
            False,
            f"{what} is not an address to ask.\n  Write live, ready or an address like http://127.0.0.1:8000/healthz",
        )
    request = f"GET /{path} HTTP/1.0\r\nHost: {name}\r\n\r\n".encode()
    try:
        with socket.create_connection((name, int(port)), TIMEOUT) as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode(errors="replace")
    except OSError as error:
        return False, f"no answer from {what}: {error}"
    head, _, body = answer.partition("\r\n\r\n")
    return head.split(" ", 2)[1:2] == ["200"], body
