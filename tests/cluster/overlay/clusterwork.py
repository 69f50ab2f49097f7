"""The chaos rows' app, whose main process can be made to stand still: SIGUSR2 blocks its loop for ten minutes."""

import signal
import time

from workload.app import app

signal.signal(signal.SIGUSR2, lambda *_: time.sleep(600))

__all__ = ["app"]
