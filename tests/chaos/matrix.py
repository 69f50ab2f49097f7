"""The fault matrix: its rows by number, the servers they share, and the running of one."""

from __future__ import annotations

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from tests.chaos import brokers
from tests.chaos.clusters import RabbitMQTrio
from tests.chaos.lab import Lab
from tests.chaos.ledger import Ledger
from tests.chaos.trial import Trial

BROKERS = ("redis", "rabbitmq")
ROWS = {}
AT_ONCE = 4  # rows beside each other; most of their time they wait


@dataclass(frozen=True)
class Row:
    """number: in the matrix; story: the function that plays it.

    brokers: where it means something.
    alone: it disturbs others that use the same servers.
    measured: its full form measures what others would disturb.
    """

    number: int
    title: str
    story: Any
    brokers: tuple[str, ...]
    alone: bool
    measured: bool

    def needs_quiet(self, *, full):
        return self.alone or (self.measured and full)


def row(number, title, *, brokers=BROKERS, alone=False, measured=False):
    """Register the decorated function as a row of the matrix."""

    def register(story):
        ROWS[number] = Row(number, title, story, brokers, alone, measured)
        return story

    return register


class Servers:
    """The brokers and the ledger, each started when a row first asks for it. nodes: of RabbitMQ, 1 or 3."""

    def __init__(self, lab, nodes):
        self.lab = lab
        self.kinds = {
            "redis": brokers.Redis,
            "rabbitmq": RabbitMQTrio if nodes > 1 else brokers.RabbitMQ,
            "ledger": Ledger,
        }
        self._started = {}
        self._starting = threading.Lock()

    def __getitem__(self, name):
        with self._starting:
            if name not in self._started:
                self._started[name] = self.kinds[name](self.lab)
            return self._started[name]

    def brokers(self):
        return [server for name, server in self._started.items() if name != "ledger"]

    def close(self):
        if "ledger" in self._started:
            self._started["ledger"].close()


class Matrix:
    """Runs rows on servers that they share. nodes: of RabbitMQ."""

    def __init__(self, nodes=1):
        self.lab = Lab()
        self.servers = Servers(self.lab, nodes)
        self.beside = ThreadPoolExecutor(AT_ONCE)
        self.alone = ThreadPoolExecutor(1)

    def start(self, plays, **options):
        """Start rows: those that disturb nobody beside each other, then the others alone.

        plays: pairs of a row's number and a broker. Returns the future outcome of each.
        """
        plain = options.get("celery", "runtime") == "runtime" and not options.get("off")
        full = options.get("full", True)
        beside = [(number, broker) for number, broker in plays if plain and not ROWS[number].needs_quiet(full=full)]
        outcomes = {play: self.beside.submit(self.run, *play, **options) for play in beside}
        self.alone.submit(wait, list(outcomes.values()))
        for play in plays:
            if play not in outcomes:
                outcomes[play] = self.alone.submit(self.run, *play, **options)
        return outcomes

    def run(self, number, broker, **options):
        """Play a row; returns its outcome, in which an error is a complaint."""
        began = time.monotonic()
        _ = self.servers["redis"]  # results are there whatever the broker
        trial = Trial(self.lab, self.servers, ROWS[number], broker, **options)
        try:
            ROWS[number].story(trial)
        except Exception as error:  # noqa: BLE001  one row's failure is not the end of the others
            trial.expect(False, f"{type(error).__name__}: {error}")
            trial.remark(traceback.format_exc())
        finally:
            trial.close()
        trial.count().seconds = time.monotonic() - began
        return trial.outcome

    def close(self):
        for pool in (self.beside, self.alone):
            pool.shutdown(wait=False, cancel_futures=True)
        self.lab.stop()  # a row that still runs fails without its containers
        for pool in (self.beside, self.alone):
            pool.shutdown()
        self.servers.close()
        self.lab.close()
