"""Runs sessions side by side and tells how far they are."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from tests.conformance.cases import Run
from tests.conformance.sessions import Session, Target

SESSION_SIZE = 40  # tests; the longest such session takes half as long as all of them together do
PROGRESS = 30  # seconds between two lines


def run(wanted: dict[Target, list[str]], jobs: int, name: str = "") -> dict[Target, Run]:
    """Run the tests of each target in sessions, `jobs` of them at a time; returns one run for each target."""
    stopping = threading.Event()
    sessions = [
        Session(target, tuple(tests[at : at + SESSION_SIZE]), f"{target.slug}-{at // SESSION_SIZE}{name}", stopping)
        for target, tests in wanted.items()
        for at in range(0, len(tests), SESSION_SIZE)
    ]
    with ThreadPoolExecutor(jobs) as threads:
        futures = {threads.submit(session.run): session for session in sessions}
        try:
            _follow(futures)
        except BaseException:
            stopping.set()
            threads.shutdown(cancel_futures=True)
            raise
    together = {target: Run() for target in wanted}
    for future, session in futures.items():
        together[session.target].add(future.result())
    return together


def _follow(futures: dict[Future[Run], Session]) -> None:
    began = time.monotonic()
    total = sum(len(session.tests) for session in futures.values())
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, timeout=PROGRESS)
        for future in ended:
            future.result()
        progress = [session.progress() for session in futures.values()]
        tests, failed = sum(each[0] for each in progress), sum(each[1] for each in progress)
        print(f"{time.monotonic() - began:5.0f} s  {tests} of {total} tests, {failed} failed", flush=True)
