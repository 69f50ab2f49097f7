"""Publish no-op tasks: `python -m bench.peers LIBRARY COUNT`; prints the seconds that it took."""

from __future__ import annotations

import importlib
import sys
import time

library = importlib.import_module(f"bench.peers.{sys.argv[1]}")
library.enqueue(1)  # connects
start = time.perf_counter()
library.enqueue(int(sys.argv[2]) - 1)
print(time.perf_counter() - start)
