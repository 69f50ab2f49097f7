"""Frames of AMQP as this reads them, against those that py-amqp writes and reads."""

from __future__ import annotations

from datetime import UTC, datetime
from struct import pack
from types import SimpleNamespace

import pytest
from amqp.basic_message import Message
from amqp.method_framing import frame_handler, frame_writer
from amqp.serialization import dumps
from hypothesis import given
from hypothesis import strategies as st

from celery_runtime.direct.rabbitmq import frames
from celery_runtime.direct.rabbitmq.reading import Reading

CHANNEL = 7
texts = st.text(max_size=60).filter(lambda text: len(text.encode()) < 200)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    texts,
    st.floats(allow_nan=False),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(texts, texts, max_size=2),
    st.just(datetime(2026, 1, 2, tzinfo=UTC)),
)
properties = st.fixed_dictionaries(
    {"application_headers": st.dictionaries(texts, values, max_size=6)},
    optional={
        "content_type": texts,
        "correlation_id": texts,
        "reply_to": texts,
        "priority": st.integers(0, 255),
        "delivery_mode": st.just(2),
        "timestamp": st.integers(0, 2**40),
        "message_id": texts,
    },
)


def delivery(body=b"{}", tag=5, redelivered=False, consumer="None1", frame_max=4096, **more):
    """The bytes that RabbitMQ sends for a message, framed by py-amqp."""
    written = bytearray()
    transport = SimpleNamespace(write=written.extend)
    connection = SimpleNamespace(frame_max=frame_max, bytes_sent=0)
    arguments = dumps("sLbss", (consumer, tag, redelivered, "tasks", "media"))
    frame_writer(connection, transport)(1, CHANNEL, (60, 60), arguments, Message(body, **more))
    return bytes(written)


def read_by_py_amqp(raw):
    found = []
    connection = SimpleNamespace(bytes_recv=0)
    on_frame = frame_handler(connection, lambda *answer: found.append(answer))
    for frame in frames.split(raw):
        on_frame(frame)
    ((_, _, _, message),) = found
    return message


@given(properties, st.binary(max_size=9000), st.integers(1, 2**63), st.booleans())
def test_a_delivery_is_decoded_as_py_amqp_does(more, body, tag, redelivered):
    raw = delivery(body, tag, redelivered, **more)
    found, theirs = frames.content(raw), read_by_py_amqp(raw)

    assert (found.tag, found.redelivered, found.exchange, found.routing_key) == (tag, redelivered, "tasks", "media")
    assert found.properties == theirs.properties
    assert found.body == (theirs.body or b"")  # py-amqp leaves a text where there is no body
    assert frames.address(raw, 0) == ("None1", tag)
    assert frames.is_redelivered(raw) is redelivered
    assert frames.content(frames.as_redelivered(raw)) == found._replace(redelivered=True)


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=6), st.integers(1, 700), st.booleans())
def test_what_is_no_delivery_is_left_to_py_amqp_however_the_bytes_arrive(bodies, size, begins_with_another):
    other = pack(">BHIHHQBB", 1, CHANNEL, 13, 60, 80, 1, 0, frames.END)  # a method of the same channel
    sent = b"".join(
        part for number, body in enumerate(bodies) for part in (delivery(body, number + 1), frames.BEAT, other)
    )
    sent = other + sent if begins_with_another else sent
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    taken = []
    transport = SimpleNamespace(sock=SimpleNamespace(recv=lambda _: pieces.pop(0)), _read_buffer=b"", connected=True)
    connection = SimpleNamespace(transport=transport, bytes_recv=0)
    reading = Reading(connection, CHANNEL, lambda buffer, start, end: taken.append(bytes(buffer[start:end])))

    left = [reading.read_frame() for _ in range(2 * len(bodies) + begins_with_another)]

    assert [frames.content(raw).body for raw in taken] == bodies
    assert {kind for kind, _, _ in left} <= {frames.METHOD, frames.HEARTBEAT}
    assert [frame for frame in left if frame[0] == 1] == [(1, CHANNEL, other[7:-1])] * (
        len(bodies) + begins_with_another
    )
    assert connection.bytes_recv == len(bodies)


def test_an_end_of_the_connection_is_an_error_and_silence_is_not():
    answers = [b""]
    transport = SimpleNamespace(sock=SimpleNamespace(recv=lambda _: answers.pop()), _read_buffer=b"", connected=True)
    reading = Reading(SimpleNamespace(transport=transport), CHANNEL, None)
    with pytest.raises(OSError, match="closed connection"):
        reading.read_frame()
    assert transport.connected is False

    def silent(_):
        raise BlockingIOError(11, "nothing")

    transport.sock.recv, transport.connected = silent, True
    with pytest.raises(BlockingIOError):
        reading.read_frame()
    assert transport.connected is True


@given(st.binary(max_size=300))
def test_what_is_no_delivery_raises_one_error(raw):
    with pytest.raises(frames.FrameError):
        frames.content(frames.pack(">BHI", 1, 1, 4) + frames.DELIVER + raw)


@pytest.mark.parametrize(
    ("options", "method"),
    [({"acknowledge": True}, 80), ({"acknowledge": False}, 90), ({"acknowledge": False, "requeue": True}, 90)],
)
def test_settlements_are_what_py_amqp_writes(options, method):
    written = bytearray()
    connection = SimpleNamespace(frame_max=4096, bytes_sent=0)
    arguments = dumps("Lb", (9, options.get("requeue", False)))
    frame_writer(connection, SimpleNamespace(write=written.extend))(1, CHANNEL, (60, method), arguments, None)
    assert frames.settlement(CHANNEL, 9, **options) == bytes(written)
