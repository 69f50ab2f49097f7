"""Consumers and producers in the test's own process, each on a connection that reads only when it is told to."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress

from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.asynchronous import Hub, get_event_loop, set_event_loop

from celery_runtime.redis_transport import keys

CLAIMS = "celery_runtime.redis_transport.transport:Transport"
STOCK = "kombu.transport.redis:Transport"


class Peer:
    """One connection over `transport` to a port or URL; `received` are the messages, not acknowledged."""

    def __init__(self, port, transport=CLAIMS, *, password, host="127.0.0.1", user="celery", ssl=False, **options):
        where = {"hostname": port} if isinstance(port, str) else {"hostname": host, "port": port, "virtual_host": "0"}
        self.connection = Connection(
            **where,
            transport=transport,
            userid=user,
            password=password,
            ssl=ssl,
            transport_options={"socket_timeout": 10, "max_connections": 200, **options},
        )
        self.channel = self.connection.default_channel
        self.received = []
        self.consumers = []

    def send(self, queue, *bodies, **properties):
        producer = Producer(self.channel, serializer="json")
        for body in bodies:
            producer.publish(body, exchange=queue, routing_key=queue, declare=[declared(queue)], **properties)

    def consume(self, *queues, prefetch=0, no_ack=False, on_message=None):
        handler = on_message or self.received.append
        consumer = Consumer(self.channel, list(map(declared, queues)), on_message=handler, no_ack=no_ack)
        if prefetch:
            consumer.qos(prefetch_count=prefetch)
        consumer.consume()
        self.consumers.append(consumer)
        return self

    def turn(self, seconds=0.1):
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=seconds)

    def until(self, condition, seconds=20):
        """Read until `condition()` is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s; received {self.bodies}"
            self.turn()

    def get(self, count, seconds=20):
        """Read until `count` messages are there; returns their bodies in the order of their arrival."""
        self.until(lambda: len(self.received) >= count, seconds)
        return self.bodies

    @property
    def bodies(self):
        return [message.payload for message in self.received]

    def ack(self):
        while self.received:
            self.received.pop(0).ack()

    def die(self):
        """End like a killed process: what is held stays where it is."""
        self.channel.lost = True  # of a channel that claims
        self.channel.do_restore = False  # of kombu's
        self.close()

    def close(self):
        self.connection.close()


def declared(name):
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


@contextmanager
def event_loop(*peers):
    """Let an event loop turn the peers, as in a worker; gives a function that waits for a condition."""
    before, hub = get_event_loop(), Hub()
    set_event_loop(hub)
    for peer in peers:
        peer.connection.register_with_event_loop(hub)

    def run(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            hub.run_once()

    try:
        hub.call_repeatedly(0.02, int)  # conditions are looked at this often
        yield run
    finally:
        for peer in peers:
            peer.close()
        hub.close()
        hub.timer.clear()
        set_event_loop(before)


def waiting(admin, queue="q"):
    """How many messages wait in the lists of a queue."""
    return sum(admin.llen(key) for key in admin.scan_iter(f"{queue}*", _type="list"))


def held(admin, queue="q"):
    """How many messages of a queue are claimed and not acknowledged."""
    return admin.hlen(keys.unacked(queue))
