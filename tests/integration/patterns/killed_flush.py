"""Flush likes in a child that is killed at the step which each line of the standard input names; "never" spares it."""

from __future__ import annotations

import os
import signal
import sys

from app import likes
from app.tasks import counters

STEPS = {
    "before it takes": (likes, "take", "before"),
    "after it took": (likes, "take", "after"),
    "before it adds": (counters, "_add", "before"),
    "before it commits": (counters, "_add", "after"),
    "before it drops": (likes, "drop", "before"),
    "after it dropped": (likes, "drop", "after"),
}


def prepare(step):
    """Let this process be killed at `step`."""
    module, name, moment = STEPS[step]
    function = getattr(module, name)

    def killed(*args):
        result = function(*args) if moment == "after" else None
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(module, name, killed)


def main():
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            if (step := line.strip()) != "never":
                prepare(step)
            counters.flush_likes()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
