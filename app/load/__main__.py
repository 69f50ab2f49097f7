"""Sends a mixed load to a running stack: pictures, posts with their AI calls, small tasks, and some that fail.

    python -m app.load [--minutes 10] [--api URL]

Ctrl-C ends it; what it sent runs on. Exit code 0: it was sent. 2: no stack answers, or bad arguments.
"""

import argparse
import heapq
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from app.load.mix import Kind, mix
from app.smoke.client import SmokeError, Stack

SHOW_EVERY = 10.0  # seconds
LONGEST = 24 * 60  # minutes


class Load:
    """Sends each kind at its pace; one that cannot keep up sends late, and does not send twice."""

    def __init__(self, kinds: list[Kind], say: Callable[[str], None]) -> None:
        self.kinds = kinds
        self.say = say
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        began = time.monotonic()
        due = [(kind.first, place) for place, kind in enumerate(self.kinds)]
        heapq.heapify(due)
        shown = SHOW_EVERY
        while due[0][0] < seconds:
            at, place = heapq.heappop(due)
            time.sleep(max(0.0, began + at - time.monotonic()))
            self._send(self.kinds[place])
            now = time.monotonic() - began
            heapq.heappush(due, (max(at + self.kinds[place].pause, now), place))
            if now >= shown:
                self.say(f"{now:4.0f} s of {seconds:.0f}   {self}")
                shown = now + SHOW_EVERY

    def _send(self, kind: Kind) -> None:
        try:
            answer = kind.send()
        except SmokeError:
            self.refused["no answer"] += 1
            return
        if answer.is_success:
            self.accepted[kind.name] += kind.tasks
        else:
            self.refused[f"status {answer.status_code}"] += 1

    def __str__(self) -> str:
        refused = ", ".join(f"{count} {why}" for why, count in self.refused.items()) or "none"
        return f"{self.accepted.total()} tasks accepted; requests refused: {refused}"


def _minutes(text: str) -> float:
    with suppress(ValueError):
        if 0 < (minutes := float(text)) <= LONGEST:
            return minutes
    raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes up to {LONGEST}; write MINUTES=10")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("app.load", description="Sends a mixed load with failures to a running stack.")
    parser.add_argument("--minutes", type=_minutes, default=10.0, help="for how long (%(default)g)")
    parser.add_argument("--api", default="http://127.0.0.1:8000", help="the API's address (%(default)s)")
    return parser.parse_args(argv)


def _say(line: str) -> None:
    print(line, flush=True)


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    with Stack(arguments.api, "", timeout=10) as stack:
        try:
            stack.read("/healthz")
            load = Load(mix(stack), _say)
        except SmokeError as error:
            print(f"{error}\n  Bring it up first: make up", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
        ended = "Sent"
        try:
            _say(f"Sending for {arguments.minutes:g} minutes to {arguments.api}. Ctrl-C ends it.")
            load.run(arguments.minutes * 60)
        except KeyboardInterrupt:
            ended = "Stopped"
    for kind in load.kinds:
        _say(f"  {kind.name:30} {load.accepted[kind.name]:6}")
    _say(f"{ended}: {load}. What was accepted runs on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
