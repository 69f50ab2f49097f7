"""Return when that many workers answer a ping: `python -m bench.ready COUNT`."""

from __future__ import annotations

import sys
import time

from bench.tasks import app

PATIENCE = 180  # seconds

wanted, deadline = int(sys.argv[1]), time.monotonic() + PATIENCE
while (found := len(app.control.ping(timeout=2.0))) < wanted:
    if time.monotonic() > deadline:
        sys.exit(f"{found} of {wanted} workers answer after {PATIENCE} s.")
