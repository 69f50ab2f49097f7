"""The line of messages that wait for a child."""

from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest

from celery_runtime.direct.rabbitmq.line import LARGEST, Line, unwrap, wrap
from celery_runtime.direct.rabbitmq.orphan import Safe


@pytest.fixture
def line():
    with closing(Line()) as line:
        yield line


@pytest.mark.parametrize("size", [0, 1, LARGEST - 1, LARGEST, 3 * LARGEST, 5_000_000])
def test_a_message_of_any_size_is_taken_whole_and_once(line, size):
    line.put(b"x" * size)
    assert line.take() == b"x" * size
    assert line.take_back() == []


def test_what_has_no_room_waits_and_keeps_its_place(line):
    sent = [bytes([65 + number % 20]) * 20_000 for number in range(300)]
    for message in sent:
        line.put(message)
    taken = [line.take() for _ in range(3)]
    line.flush()
    assert taken + line.take_back() == sent


def test_the_parent_takes_back_what_no_child_took(line):
    for message in (b"a", b"b", b"c"):
        line.put(message)
    line.wake()
    assert line.take() == b"a"
    assert line.take_back() == [b"b", b"c"]
    assert line.take_back() == []


def test_a_child_that_is_woken_has_no_message(line):
    line.wake()
    assert line.take() is None


def test_without_a_parent_the_line_has_ended(line):
    line.put(b"last")
    line.leave_to_parent()
    assert line.take() == b"last"
    with pytest.raises(EOFError):
        line.take()


def test_several_children_share_it_and_none_gets_what_another_got(line):
    for number in range(60):
        line.put(f"{number} ".encode())
    reader, writer = os.pipe()
    children = []
    for _ in range(3):
        if not (child := os.fork()):
            line.leave_to_parent()
            try:
                while message := line.take():
                    os.write(writer, message)
            finally:
                os._exit(0)
        children.append(child)
    os.close(writer)
    line.leave_to_parent()
    for child in children:
        os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        assert sorted(map(int, pipe.read().split())) == list(range(60))


def test_a_message_keeps_its_queue_and_its_tag():
    assert unwrap(wrap("médias", "3.17", b"raw")) == ("médias", "3.17", b"raw")


def test_a_connection_that_is_left_can_be_written_to_and_stays_open_until_the_safe_is_emptied():
    with closing(Safe()) as safe:
        assert safe.look() is None
        ours, theirs = socket.socketpair()
        for number in (1, 2):
            safe.leave(number, 7, ours, 10)
        ours.close()
        for _ in range(2):
            connection, channel, heartbeat, file = safe.look()
            assert (connection, channel, heartbeat) == (2, 7, 10)
            os.write(file, b"ack")
            os.close(file)
        assert theirs.recv(10) == b"ackack"
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        safe.empty()
        assert theirs.recv(1) == b""
        theirs.close()
