"""`make load`: its pace, what it says, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.load.__main__ import Load, main
from app.load.mix import Kind
from app.smoke.client import SmokeError

ROOT = Path(__file__).parents[3]
ACCEPTED, REFUSED = SimpleNamespace(is_success=True), SimpleNamespace(is_success=False, status_code=503)


def away():
    raise SmokeError("no answer")


def test_each_kind_comes_at_its_pace_and_is_counted_by_its_tasks():
    load = Load([Kind("often", 0.01, lambda: ACCEPTED, tasks=3), Kind("late", 0.01, lambda: ACCEPTED, first=60)], print)
    load.run(0.1)
    assert load.accepted["late"] == 0
    assert load.accepted["often"] % 3 == 0 and 6 <= load.accepted["often"] <= 33


def test_what_is_refused_or_not_answered_is_said_and_ends_nothing():
    load = Load([Kind("refused", 0.02, lambda: REFUSED), Kind("away", 0.02, away)], print)
    load.run(0.05)
    assert "0 tasks accepted" in str(load) and "status 503" in str(load) and "no answer" in str(load)


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "soon", "100000"])
def test_a_time_that_is_none_is_refused(minutes, capsys):
    with pytest.raises(SystemExit) as ended:
        main([f"--minutes={minutes}"])
    assert ended.value.code == 2
    assert minutes in capsys.readouterr().err


def test_without_a_stack_it_says_how_to_bring_one_up(capsys):
    assert main(["--api", "http://127.0.0.1:1"]) == 2
    said = capsys.readouterr().err
    assert "make up" in said and "Traceback" not in said


def test_ctrl_c_ends_it_with_what_was_sent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        command = [sys.executable, "-m", "app.load", "--api", f"http://127.0.0.1:{server.getsockname()[1]}"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
            assert load.stdout.readline().startswith("Sending for 10 minutes")
            load.send_signal(signal.SIGINT)
            said, errors = load.communicate(timeout=60)
    assert load.returncode == 0 and not errors
    assert said.splitlines()[-1].startswith("Stopped: ")


def answer(server):
    """Says yes to everything."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            status = b"200 OK" if connection.recv(65536).startswith(b"GET") else b"201 Created"
            body = b'\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{"id": "1"}'
            connection.sendall(b"HTTP/1.1 " + status + body)
