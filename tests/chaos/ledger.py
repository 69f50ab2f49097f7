"""The ledger: a Redis of its own that no fault touches and that answers when a line is on its disk.

Every time in a row is the ledger's own, so that no fault of another clock shows in a measurement.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.lab import until


@dataclass(frozen=True)
class Event:
    """A task's start or end. at: seconds on the ledger's clock."""

    at: float
    what: str
    id: str
    host: str
    attempt: int


class Ledger:
    """The server, and a connection to it from this process."""

    def __init__(self, lab):
        command = ["redis-server", "--protected-mode", "no", "--appendonly", "yes", "--appendfsync", "always"]
        self.container = lab.run("redis", command, "ledger", port=6379, quiet="ledger")
        self.container.reload()
        port = int(self.container.ports["6379/tcp"][0]["HostPort"])
        self.redis = Redis(host="127.0.0.1", port=port, decode_responses=True)
        until(self._answers, "the ledger to answer")

    def _answers(self):
        try:
            return self.redis.ping()
        except RedisError:
            return False

    def now(self):
        seconds, micros = self.redis.time()
        return seconds + micros / 1e6

    def close(self):
        self.redis.close()


class Account:
    """What producers and tasks of one run wrote, read as it grows."""

    def __init__(self, ledger, run):
        self.ledger = ledger
        self.run = run
        self.events = []
        self.starts = Counter()
        self.ends = Counter()
        self.doomed = set()  # accepted tasks that cannot end; the row itself says what becomes of them
        self._last = "0"

    def read(self):
        """Read what is new; returns this account."""
        while news := self.ledger.redis.xread({f"events:{self.run}": self._last}, count=5000):
            for key, fields in news[0][1]:
                at = int(key.split("-")[0]) / 1000
                self.events.append(Event(at, fields["what"], fields["id"], fields["host"], int(fields["attempt"])))
                (self.starts if fields["what"] == "start" else self.ends)[fields["id"]] += 1
                self._last = key
        return self

    @property
    def accepted(self):
        return self.ledger.redis.smembers(f"accepted:{self.run}")

    @property
    def publish_errors(self):
        return sum(map(int, self.ledger.redis.hvals(f"errors:{self.run}")))

    @property
    def ended(self):
        """How many tasks have ended at least once."""
        return len(self.ends)

    @property
    def running(self):
        """What started and has not ended: it runs, or was cut off."""
        return self.starts.keys() - self.ends.keys()

    @property
    def doubled(self):
        return sum(count - 1 for count in self.ends.values())

    @property
    def rerun(self):
        return sum(count - 1 for count in self.starts.values())

    def lost(self):
        return self.accepted - self.ends.keys() - self.doomed

    def started(self, ids):
        """The starts of these tasks, in their order."""
        return [event for event in self.events if event.what == "start" and event.id in ids]

    def first_end(self, after, ids=None):
        """When the first task (of `ids`) ended after the time `after`; None if none did."""
        ends = (e.at for e in self.events if e.what == "end" and e.at > after and (ids is None or e.id in ids))
        return min(ends, default=None)
