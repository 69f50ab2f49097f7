"""Python imports this at its start: a clock that is CLOCK_AHEAD seconds ahead."""

import os
import time

_right = time.time
time.time = lambda: _right() + float(os.environ["CLOCK_AHEAD"])
