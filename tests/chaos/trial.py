"""One row of the matrix on one broker: what it may use, what it found, and its line in the table."""

from __future__ import annotations

import itertools
import json
import time

from tests.chaos.cast import Cast
from tests.chaos.lab import until
from tests.chaos.ledger import Account
from tests.chaos.outcome import Outcome

SLACK = 4  # the short form runs on machines that have much else to do: it counts, and measures only roughly
LOOK = 1.0  # seconds between two looks at what the broker holds; each costs RabbitMQ about a second of CPU
NAMES = itertools.count(1)


class Trial(Cast):
    """What a row works with.

    full: the numbers of the issue, not the short form's.
    celery: `runtime` or `stock`.
    off: parts of the runtime that are switched off (RUNTIME_OFF).
    """

    def __init__(self, lab, servers, row, broker, *, full=True, celery="runtime", off=""):
        self.lab, self.servers, self.full, self.celery, self.off = lab, servers, full, celery, off
        self.broker = servers[broker]
        self.on_redis = broker == "redis"
        self.queue = f"row{row.number}-{next(NAMES):03}"  # of one width, so that no name is a part of another
        self.account = Account(servers["ledger"], self.queue)
        self.outcome = Outcome(row.number, row.title, broker, celery)
        self.processes = []
        self.variables = self.broker.variables()
        self.serve()

    def pick(self, *, short, full):
        return full if self.full else short

    def serve(self, **settings):
        """Write queues.toml: the row's one queue, with two processes unless it says otherwise."""
        settings = {"concurrency": 2, "time_limit": 60} | settings
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        self.concurrency = settings["concurrency"]
        self.lab.file(f"{self.queue}/queues.toml", "\n".join([f"[queues.{self.queue}]", *lines, ""]))

    def id(self, prefix, number=0):
        """The id of a producer's task."""
        return f"{self.queue}/{prefix}-{number}"

    def ids(self, prefix):
        """The accepted ids of one producer."""
        return {task for task in self.account.accepted if task.startswith(self.id(prefix, ""))}

    def publish(self, task, count, **options):
        """Publish to the end."""
        self.published(self.publishing(task, count, **options), 60 + count / 50)

    def published(self, producer, seconds=120):
        if producer.wait(seconds):
            raise RuntimeError(f"the producer failed: {producer.logs()[-2000:]}")

    def until(self, condition, what, seconds=60.0):
        """Wait until `condition(account)` is true."""
        return until(lambda: condition(self.account.read()), what, seconds)

    def until_ended(self, count, seconds=60.0):
        self.until(lambda account: account.ended >= count, f"{count} tasks to end", seconds)

    def until_started(self, count, seconds=60.0):
        self.until(lambda account: len(account.starts) >= count, f"{count} tasks to start", seconds)

    def now(self):
        return self.servers["ledger"].now()

    def settle(self, seconds):
        """Wait until the broker holds nothing in two looks: only then is missing what has not ended."""
        deadline, empty = time.monotonic() + seconds, 0
        while empty < 2:
            written = len(self.account.read().events)
            time.sleep(LOOK)
            held = self.broker.held(self.queue)
            # With early acknowledgement a task still runs whose message is gone.
            empty = empty + 1 if held == 0 and len(self.account.read().events) == written else 0
            if empty < 2 and time.monotonic() > deadline:
                return self.expect(False, f"the broker still holds {held} messages {seconds} s later")
        return None

    def doom(self, *prefixes):
        """These producers' tasks cannot end, and are not lost for that."""
        for prefix in prefixes:
            self.account.doomed |= self.ids(prefix)

    def state(self, task):
        """The state of a task in the result store: PENDING, SUCCESS, FAILURE."""
        stored = self.servers["redis"].ask("get", f"celery-task-meta-{task}")
        return json.loads(stored)["status"] if stored else "PENDING"

    def until_no_replies(self, seconds):
        """Wait until no reply list of remote control would stay for ever; returns how many would after `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := self.broker.lasting_replies()) and time.monotonic() < deadline:
            time.sleep(LOOK)
        return left

    def expect_alive(self):
        """Expect that no platform would restart the processes of this row for their health."""
        for process in self.processes if self.celery == "runtime" else ():
            if process.is_running() and "producer" not in process.name:
                code, answer = process.run("celery-runtime", "health", "live")
                self.expect(code == 0, f"{process.name} is not alive: {answer}")

    def expect(self, condition, complaint):
        if not condition:
            self.outcome.complaints.append(complaint)

    def remark(self, text):
        self.outcome.remarks.append(text)

    def recovered(self, since, limit, ids=None, *, wait=False):
        """Note the seconds from `since` to the first end after it (of `ids`), and expect them within `limit`."""
        if wait:
            self.until(lambda account: account.first_end(since, ids), "a task to end", SLACK * limit)
        limit *= self.pick(short=SLACK, full=1)
        end = self.account.read().first_end(since, ids)
        took = None if end is None else end - since
        if took is not None:
            self.outcome.recovery = max(self.outcome.recovery or 0.0, took)
        self.expect(took is not None and took <= limit, f"back after {took and round(took, 1)} s, at most {limit} s")

    def judge(self, *, lost=0, doubled=0, rerun=None, restarts=0):
        """Expect at most these numbers of tasks, and of processes that ended by themselves; None: any number."""
        account = self.count()
        ended = sum(process.restarts for process in self.processes)
        self.expect(restarts is None or ended <= restarts, f"{ended} processes ended by themselves")
        self.expect(account.accepted > 0, "nothing was accepted")
        self.expect(account.lost <= lost, f"lost {account.lost}, at most {lost}")
        self.expect(account.doubled <= doubled, f"doubled {account.doubled}, at most {doubled}")
        if rerun is not None:
            self.expect(account.rerun <= rerun, f"re-run {account.rerun}, at most {rerun}")

    def count(self):
        """Bring the outcome's figures up to date; returns it."""
        account, outcome = self.account.read(), self.outcome
        outcome.accepted, outcome.lost = len(account.accepted), len(account.lost())
        outcome.doubled, outcome.rerun = account.doubled, account.rerun
        return outcome

    def close(self):
        """Keep the logs, and leave the brokers as the next row wants them."""
        self.outcome.logs = {process.name: process.logs() for process in self.processes}
        for process in self.processes:
            process.remove()
        for server in self.servers.brokers():
            server.heal()
            server.forget(self.queue, everything=self.celery == "stock" or bool(self.off))
