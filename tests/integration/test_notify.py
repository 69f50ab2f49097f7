"""What systemd hears from a worker and a Beat, over a real datagram socket."""

from __future__ import annotations

import socket
import tempfile

import pytest

from tests.integration.runtime_worker import RuntimeWorker

WATCHDOG = 2_000_000  # microseconds


@pytest.fixture
def systemd():
    """systemd's end; `systemd(text)` returns the messages up to the one that holds the text."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(f"{folder}/notify")
        server.settimeout(60)

        def until(text):
            heard = [server.recv(4096).decode()]
            while text not in heard[-1]:
                heard.append(server.recv(4096).decode())
            return heard

        until.path = f"{folder}/notify"
        yield until


@pytest.mark.parametrize("command", [("worker", "anyapp"), ("beat",)], ids=["worker", "beat"])
def test_systemd_hears_of_start_life_and_stop(tmp_path, on_redis, systemd, command):
    watched = {"SCHEDULE": 3600, "NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": WATCHDOG}
    with RuntimeWorker(tmp_path, on_redis, command=command, **watched) as process:
        heard = systemd("READY=1")
        assert heard[0].startswith("STATUS=")
        assert "WATCHDOG=1" in systemd("WATCHDOG=1")
        assert process.get("/readyz")[0] == 200

        process.process.terminate()
        (stopping,) = systemd("STOPPING=1")[-1:]
        assert "EXTEND_TIMEOUT_USEC=" in stopping and "STATUS=" in stopping
        assert process.process.wait(60) == 0, process.log()


def test_pool_children_do_not_speak_for_the_worker(tmp_path, on_redis, systemd, monkeypatch):
    with RuntimeWorker(tmp_path, on_redis, NOTIFY_SOCKET=systemd.path) as worker:
        systemd("READY=1")
        producer = worker.producer(monkeypatch)
        monkeypatch.delenv("NOTIFY_SOCKET")
        producer.send_task("anyapp.crash")
        worker.wait(lambda: "WorkerLostError" in worker.log(), "a pool child to be replaced")
        producer.close()
    heard = systemd("STOPPING=1")
    assert sum("STOPPING=1" in message for message in heard) == 1
