"""Runs the processes of a plan under honcho, which prefixes and colours what they print, and ends them.

What honcho 2.0 leaves open and this closes: a signal that comes while processes are still starting, a closed
terminal, a SIGTERM that hits a worker's pool children too, children that outlive a killed worker, everything
that outlives a killed honcho, and Redis ending before the workers that still want to hand messages back.
"""

import contextlib
import http.client
import os
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from honcho.compat import ProcessManager
from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Popen, Process

from app.dev.plan import HOST, Plan

LAST = "redis"
LOOK = 0.2  # seconds between two looks at what has ended or become ready


class Processes(Manager):  # type: ignore[misc]
    """All processes of a plan. `loop()` runs them until one ends or a signal comes, then ends the others.

    What still runs 5 s after the first has ended is killed (honcho's KILL_WAIT); a task that this interrupts
    is in Redis still, and runs again after the next start.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(printer=LoudPrinter())
        self.plan = plan
        self.asked_to_end = False
        self.ended: list[str] = []  # names, in order
        self._last_was_asked = False
        self._process_ctor = GroupedProcess
        self._procmgr = LeaderManager()
        for command in plan.commands:
            self.add_process(command.name, list(command.argv), env={**plan.environ, **command.extra})

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_end)
        super()._start()
        threading.Thread(target=self._announce, daemon=True).start()

    def _ask_to_end(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_end = True  # nothing more: the signal may have come in the middle of a print

    def _all_started(self) -> bool:
        """Honcho asks this at every turn of its loop, so this is where signals and the order take effect."""
        started: bool = super()._all_started()
        self.ended += [n for n, p in self._processes.items() if "returncode" in p and n not in self.ended]
        if started and (self.asked_to_end or self.ended):
            self.terminate()
            self._end_last()
        return started

    def _end_last(self) -> None:
        others_ended = set(self._processes) - set(self.ended) == {LAST}
        if others_ended and not self._last_was_asked:
            self._last_was_asked = True
            self._procmgr.terminate(self._processes[LAST]["pid"])

    def _killall(self, force: bool = False) -> None:
        if force:
            super()._killall(force=True)
            return
        for name, process in self._processes.items():
            if name not in self.ended and name != LAST:
                self._procmgr.terminate(process["pid"])

    def _announce(self) -> None:
        """Says once that everything answers, and where."""
        waiting = list(self.plan.checks)
        while waiting and not self.asked_to_end:
            waiting = [url for url in waiting if not answers(url)]
            time.sleep(LOOK)
        if not waiting:
            text = self.plan.greeting
            self.events.put(Message("line", text, datetime.now(UTC).astimezone(), "ready", None))


class GroupedPopen(Popen):  # type: ignore[misc]
    """A process with a group of its own, which is killed when the process ends or when honcho is gone."""

    def __init__(self, argv: list[str], **options: Any) -> None:
        super().__init__(argv, shell=False, stdin=subprocess.DEVNULL, **options)
        threading.Thread(target=self._end_group, args=(os.getppid(),), daemon=True).start()

    def _end_group(self, honcho: int) -> None:
        while self.poll() is None and os.getppid() == honcho:
            time.sleep(LOOK)
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)


class GroupedProcess(Process):  # type: ignore[misc]
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._child_ctor = GroupedPopen


class LeaderManager(ProcessManager):  # type: ignore[misc]
    """Asks the first process of a group to end; the others are its own to end. Kills whole groups."""

    def terminate(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


class LoudPrinter(Printer):  # type: ignore[misc]
    """Ends the run when nobody can read it any more: a closed terminal or pipe."""

    def write(self, message: Message) -> None:
        try:
            super().write(message)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.output.fileno())
            os.kill(os.getpid(), signal.SIGTERM)


def answers(url: str) -> bool:
    """True when an http://127.0.0.1 address answers 200 within a second."""
    port, _, path = url.removeprefix(f"http://{HOST}:").partition("/")
    connection = http.client.HTTPConnection(HOST, int(port), timeout=1)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
