"""Ask for a sign of life COUNT times, and die before the answer was read: `python -m workload.ping COUNT`."""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from workload.app import app

LONGEST = 0.3  # seconds until a caller is killed: before it asked, while it waits, or after
AT_ONCE = 5


def ask():
    app.control.inspect(timeout=1).ping()
    os._exit(0)


def main(count):
    for _ in range(count // AT_ONCE):
        callers = []
        for _ in range(AT_ONCE):
            caller = os.fork()
            if not caller:
                ask()
            callers.append(caller)
        time.sleep(random.uniform(0.02, LONGEST))  # noqa: S311
        for caller in callers:
            os.kill(caller, signal.SIGKILL)
            os.waitpid(caller, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
