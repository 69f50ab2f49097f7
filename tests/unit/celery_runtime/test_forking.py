"""A pool child never finds a lock held by a thread of its parent."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import httpx
import pytest

from celery_runtime import forking, metrics
from celery_runtime.deferred import Call
from celery_runtime.health import Pulse, serve
from celery_runtime.lease import Lease
from celery_runtime.redis_transport.held import Held

fork_begins: list[threading.Event] = []
os.register_at_fork(before=lambda: [event.set() for event in fork_begins])  # the last one registered runs first


class Library:
    """Something with a lock, as libraries have them; it is held when the next fork begins."""

    def __init__(self):
        self.lock = threading.Lock()
        self.is_held = threading.Event()

    def use(self, *_):
        with self.lock:
            self.is_held.set()
            fork_begins[0].wait(10)
            time.sleep(0.1)  # still at work
        return ()

    @property
    def is_free_in_a_child(self):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if self.lock.acquire(timeout=0.5) else 1)
        return os.waitpid(pid, 0)[1] == 0


@pytest.fixture
def library():
    fork_begins[:] = [threading.Event()]
    yield Library()
    fork_begins.clear()


def store(library, monkeypatch):
    Call(SimpleNamespace(backend=SimpleNamespace(mark_as_failure=library.use)), "mark_as_failure", ("id",), {}).done()


def renew(library, monkeypatch):
    lease = Lease(Held(outlives=True), 30)
    lease.steps = SimpleNamespace(renew=library.use)
    lease.renew()


def scrape(library, monkeypatch):
    monkeypatch.setattr(metrics, "_sources", [library.use])
    metrics.exposition()


def answer(library, monkeypatch):
    server = serve(Pulse(), "127.0.0.1", 0, lambda accept: (bytes(library.use(accept)), "text/plain"))
    httpx.get(f"http://127.0.0.1:{server.server_port}/metrics", trust_env=False, timeout=15)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("work", [store, renew, scrape, answer])
def test_what_a_thread_does_is_over_when_a_child_is_forked(library, monkeypatch, work):
    thread = threading.Thread(target=work, args=(library, monkeypatch))
    thread.start()
    assert library.is_held.wait(10)

    assert library.is_free_in_a_child
    thread.join()


def test_parent_and_child_can_fork_again_and_hold_off_forks():
    pid = os.fork()
    again = os.fork()
    with forking.hold_off():
        pass
    if again == 0 or pid == 0:
        os._exit(os.waitpid(again, 0)[1] if again else 0)
    assert os.waitpid(pid, 0)[1] == os.waitpid(again, 0)[1] == 0


def test_a_fork_waits_no_longer_than_its_patience_for_a_thread_that_hangs(monkeypatch):
    monkeypatch.setattr(forking, "PATIENCE", 0.05)
    inside, over = threading.Event(), threading.Event()

    @forking.hold_off()
    def hang():
        inside.set()
        over.wait(10)

    thread = threading.Thread(target=hang)
    thread.start()
    inside.wait(10)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if forking._working == 0 else 1)
    over.set()
    assert os.waitpid(pid, 0)[1] == 0
    thread.join()
