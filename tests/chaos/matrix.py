"""The fault matrix: its rows by number, the servers they share, and the running of one."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError

from tests.chaos import brokers
from tests.chaos.lab import Lab
from tests.chaos.ledger import Ledger
from tests.chaos.trial import Trial

BROKERS = ("redis", "rabbitmq")
ROWS = {}


@dataclass(frozen=True)
class Row:
    """number: in the matrix; story: the function that plays it; brokers: where it means something."""

    number: int
    title: str
    story: Any
    brokers: tuple[str, ...] = BROKERS


def row(number, title, brokers=BROKERS):
    def register(story):
        ROWS[number] = Row(number, title, story, brokers)
        return story

    return register


class Servers:
    """The brokers and the ledger, each started when a row first asks for it."""

    def __init__(self, lab):
        self.lab = lab
        self._started = {}

    def __getitem__(self, name):
        if name not in self._started:
            kinds = {"redis": brokers.Redis, "rabbitmq": brokers.RabbitMQ, "ledger": Ledger}
            self._started[name] = kinds[name](self.lab)
        return self._started[name]

    def brokers(self):
        return [server for name, server in self._started.items() if name != "ledger"]

    def close(self):
        if "ledger" in self._started:
            self._started["ledger"].close()


class Matrix:
    """Runs rows one after the other on servers that they share."""

    def __init__(self):
        self.lab = Lab()
        self.servers = Servers(self.lab)

    def run(self, number, broker, **options):
        """Play a row; returns its outcome, in which an error is a complaint."""
        began = time.monotonic()
        _ = self.servers["redis"]  # results are there whatever the broker
        trial = Trial(self.lab, self.servers, ROWS[number], broker, **options)
        try:
            ROWS[number].story(trial)
        except (TimeoutError, RuntimeError, APIError) as error:
            trial.expect(False, f"{type(error).__name__}: {error}")
            trial.remark(traceback.format_exc())
        finally:
            trial.close()
        trial.count().seconds = time.monotonic() - began
        return trial.outcome

    def close(self):
        self.servers.close()
        self.lab.close()
