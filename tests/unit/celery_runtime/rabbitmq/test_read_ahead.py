"""py-amqp's transport on a real socket, as the workers' connections use it."""

from __future__ import annotations

import socket
import struct

import pytest
from amqp.transport import TCPTransport

from celery_runtime.rabbitmq.worker import read_ahead

PAYLOADS = (b"method", b"", b"x" * 200_000, b"last")


@pytest.fixture
def ends():
    ours, servers = socket.socketpair()
    with ours, servers:
        transport = TCPTransport("nowhere")
        transport.sock = ours
        transport._setup_transport()
        read_ahead(transport)
        yield transport, servers
        transport.connected = False


def frame(payload):
    return struct.pack(">BHI", 1, 7, len(payload)) + payload + b"\xce"


def test_every_frame_arrives_however_the_bytes_are_cut(ends):
    transport, server = ends
    data = b"".join(map(frame, PAYLOADS))
    seen = []
    for start in range(0, len(data), 50_001):
        server.sendall(data[start : start + 50_001])
        transport.sock.settimeout(0.1)
        try:
            while True:
                seen.append(transport.read_frame())
        except TimeoutError:
            continue

    assert seen == [(1, 7, payload) for payload in PAYLOADS]


def test_what_has_arrived_is_taken_in_one_call(ends):
    transport, server = ends
    server.sendall(frame(b"method") + frame(b"header") + frame(b"body"))
    first = transport.read_frame()
    transport._quick_recv = None  # nothing more is asked of the socket

    assert [first, transport.read_frame(), transport.read_frame()] == [
        (1, 7, b"method"), (1, 7, b"header"), (1, 7, b"body")
    ]  # fmt: skip
