"""What both stand-ins need around their own protocol: a checked port, an HTTP server, a quick end.

They start with every stack and every test run, so only Starlette and uvicorn are imported: 0.2 s of CPU.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Generator, Mapping

import uvicorn
from starlette.types import ASGIApp

MAX_PORT = 65535


class StandinError(Exception):
    """A setting that cannot work. Its text says which one, with what value, and what to do."""


def listen(name: str, host: str, default: int, environ: Mapping[str, str] = os.environ) -> socket.socket:
    """Returns a listening TCP socket on the port that variable `name` gives (0: any free one).

    Raises StandinError when the value is no port, the port is taken, or `host` is no address of this machine.
    """
    port = _port(name, environ.get(name, ""), default)
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise StandinError(
            f"{name} = {port}: cannot listen on {host}:{port} ({reason}).\n"
            f"  Set {name} to a free port above 1023, or {name.partition('_')[0]}_HOST to another address."
        ) from None


def _port(name: str, value: str, default: int) -> int:
    if not value.strip():
        return default
    try:
        port = int(value)
    except ValueError:
        port = -1
    if not 0 <= port <= MAX_PORT:
        raise StandinError(
            f"{name} = {value!r} is not a port.\n  Use a number from 1 to {MAX_PORT}, e.g. {name}={default}."
        )
    return port


def address(listener: socket.socket) -> str:
    """host:port that a listening socket answers on."""
    host, port = listener.getsockname()[:2]
    return f"{host}:{port}"


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handling: `end_at_once` is quicker, and a stand-in has nothing to save."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(app, lifespan="off", ws="none", access_log=False, log_level="warning")
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def end_at_once() -> None:
    """Makes SIGTERM and SIGINT end this process within milliseconds, with exit code 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def refuse_to_start(error: StandinError) -> None:
    """Prints why the stand-in cannot start and exits with code 2."""
    print(error, file=sys.stderr)
    raise SystemExit(2)
