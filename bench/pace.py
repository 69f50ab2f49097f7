"""Publish naps at fixed rates, without waiting for any: `python -m bench.pace SECONDS RATE:NAP [RATE:NAP ...]`."""

from __future__ import annotations

import sys
import time

from bench.schedule import schedule
from bench.tasks import nap


def main() -> None:
    streams = [(float(rate), float(length)) for rate, length in (text.split(":") for text in sys.argv[2:])]
    nap.delay(0, 0)  # connects
    start = time.monotonic()
    for due, length in schedule(float(sys.argv[1]), streams):
        time.sleep(max(start + due - time.monotonic(), 0))
        nap.delay(length, time.time())


if __name__ == "__main__":
    main()
