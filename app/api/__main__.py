"""Serve the API on API_HOST:API_PORT until a SIGTERM; requests that run then may end within GRACE seconds."""

import logging
import socket
import sys

import uvicorn

from celery_runtime.settings import ConfigError
from celery_runtime.tracing import with_trace

GRACE = 10  # seconds
QUIET = ("/healthz", "/metrics")  # asked every few seconds, and of no interest in a log


def main() -> int:
    """Returns the exit code of the process: 2 when a setting is wrong or the address is taken."""
    try:
        from app.api.main import create
        from app.settings import settings

        api = create()
        listener = _listen(settings().api_host, settings().api_port)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(format=with_trace("%(asctime)s %(levelname)s %(name)s: %(message)s"), level=logging.INFO)
    logging.getLogger("uvicorn.access").addFilter(lambda record: not any(path in record.getMessage() for path in QUIET))
    config = uvicorn.Config(api, log_config=None, timeout_graceful_shutdown=GRACE, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Raises ConfigError when the address can't be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"API_HOST = {host!r}, API_PORT = {port}: the API cannot listen there: {error.strerror or error}.\n"
            f"  Stop what uses the port, or choose another: API_PORT={port % 65535 + 1}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
