from __future__ import annotations

import os
import socket
import threading
import uuid
from contextlib import suppress

import pytest

from celery_runtime import health, notify
from celery_runtime.health import Pulse, State


@pytest.fixture(params=["file", "abstract"])
def systemd(request, tmp_path, monkeypatch):
    """systemd's end of the socket; a read that finds nothing fails after some seconds."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name.replace("@", "\0"))
        server.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield lambda: server.recv(4096).decode().split("\n")


@pytest.fixture
def pulse(systemd, monkeypatch):
    """A worker's pulse that is reported, with the first reports read."""
    monkeypatch.setattr(notify, "TICK", 3600)
    pulse = Pulse()
    notify.tell(pulse, notify.WORKER, 90)
    assert systemd() == ["STATUS=starts"]
    assert systemd() == ["EXTEND_TIMEOUT_USEC=14400000000"]
    return pulse


def test_a_start_is_over_when_the_worker_consumes(systemd, pulse):
    pulse.move(State.READY)
    pulse.move(State.READY)
    pulse.move(State.RECONNECTING)

    assert systemd() == ["READY=1", "STATUS=consumes"]
    assert systemd() == ["STATUS=waits for its broker"]


def test_a_drain_may_take_as_long_as_the_queue_allows(systemd, pulse):
    pulse.move(State.DRAINING)

    assert systemd()[:2] == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=90000000"]


def test_the_watchdog_hears_of_a_worker_that_is_alive_and_not_of_one_that_is_stuck(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    pulse = Pulse()
    pulse.move(State.READY)
    notify.tell(pulse, notify.WORKER, 90)
    assert systemd() == ["READY=1", "STATUS=consumes"]
    assert [systemd(), systemd()] == [["WATCHDOG=1"]] * 2

    monkeypatch.setattr(health, "STUCK_AFTER", 0)
    with suppress(TimeoutError):
        for _ in range(100):  # what was on its way
            systemd()
        pytest.fail("the watchdog still hears of it")
    pulse.busy = True  # a task of the solo pool
    assert systemd() == ["WATCHDOG=1"]


def test_the_watchdog_hears_nothing_more_once_its_socket_is_taken_away(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    before = set(threading.enumerate())
    notify.tell(Pulse(), notify.WORKER, 90)
    (reporter,) = set(threading.enumerate()) - before

    monkeypatch.delenv("NOTIFY_SOCKET")

    reporter.join(5)
    assert not reporter.is_alive()


@pytest.mark.parametrize(
    ("period", "process", "seconds"),
    [("3000000", "", 3.0), ("3000000", "1", None), ("0", "", None), ("soon", "", None), ("", "", None)],
)
def test_the_watchdog_is_this_processes_own(monkeypatch, period, process, seconds):
    monkeypatch.setenv("WATCHDOG_USEC", period)
    monkeypatch.setenv("WATCHDOG_PID", process)

    assert notify.watchdog() == seconds


def test_without_systemd_nothing_is_sent_and_a_socket_that_is_gone_is_no_error(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify.send("READY=1") is False

    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert notify.send("READY=1") is False
