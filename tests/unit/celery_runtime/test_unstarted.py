"""Transfers between a worker and its pool children, over real pipes and kombu's own loop."""

from __future__ import annotations

import os
import threading
import time

import pytest
from kombu.asynchronous import Hub

from celery_runtime import unstarted
from celery_runtime.unstarted import HEAR, keep_transfers

SLOW = 30  # seconds that a child of a busy machine may take


@pytest.fixture
def pipe():
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def hub():
    hub = Hub()
    keep_transfers(hub)
    yield hub
    hub.close()


def reading(end, length, got):
    """As asynpool's `_recv_message` reads."""
    data = b""
    while len(data) < length:
        try:
            data += os.read(end, length - len(data))
        except BlockingIOError:
            yield
    got.append(data)


def writing(end, data):
    """As asynpool's `_write_job` writes."""
    while data:
        try:
            data = data[os.write(end, data) :]
        except BlockingIOError:
            yield


def test_a_half_read_answer_is_read_to_its_end_before_the_loop_forgets_it(hub, pipe, monkeypatch):
    monkeypatch.setattr(unstarted, "HEAR", SLOW)
    reader, writer = pipe
    got = []
    answer = reading(reader, 8, got)
    os.write(writer, b"half")
    next(answer)
    hub.add_reader(reader, answer)
    child = threading.Timer(HEAR / 5, os.write, (writer, b"rest"))
    child.start()

    hub.reset()

    child.join()
    assert got == [b"halfrest"]
    assert not hub.readers


def test_a_half_written_task_is_written_to_its_end(hub, pipe, monkeypatch):
    monkeypatch.setattr(unstarted, "HEAR", SLOW)
    reader, writer = pipe
    task = b"x" * 300_000  # a pipe holds 65 536
    job = writing(writer, task)
    next(job)
    hub.add_writer(writer, job)
    got = []

    def child():
        for _ in reading(reader, len(task), got):
            time.sleep(0.001)

    receiving = threading.Thread(target=child)
    receiving.start()
    hub.reset()
    receiving.join()

    assert got == [task]


def test_a_child_that_says_nothing_more_does_not_hold_the_loop_up(hub, pipe):
    reader, _ = pipe
    answer = reading(reader, 8, [])
    next(answer)
    hub.add_reader(reader, answer)
    began = time.monotonic()

    hub.reset()

    assert time.monotonic() - began < 4 * HEAR
    assert not hub.readers
