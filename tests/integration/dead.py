"""Messages as they reach a queue from elsewhere, and the command line that cleans up after them."""

from __future__ import annotations

import contextlib
import io
import json
import os
from unittest import mock

from celery import Celery
from kombu import Queue
from kombu.utils.uuid import uuid

from celery_runtime import install
from celery_runtime.cli import _parser
from celery_runtime.dead_letters import depth, rabbitmq, redis
from celery_runtime.dead_letters.boxes import box_of
from celery_runtime.dead_letters.command import run
from celery_runtime.queues import load_queues
from celery_runtime.redis_transport import keys

QUEUE = "orders"
# One process, so that dead letters come in the order of their messages; a task without a route goes to parcels.
QUEUES = f"[queues.parcels]\n[queues.{QUEUE}]\nconcurrency = 1\n"


class Post:
    """The app of a publisher and operator in this process, on the broker that `environment` describes."""

    def __init__(self, environment):
        self.environment = environment
        with self.settings():
            self.app = install(Celery("publisher"))
        self.connection = self.app.connection_for_write()

    def settings(self):
        return mock.patch.dict(os.environ, self.environment)

    def close(self):
        self.app.close()
        self.connection.release()

    def send(self, body, queue=QUEUE, content_type="application/json", content_encoding="utf-8", **options):
        """Publish `body` (text or bytes) as it is."""
        with self.connection.channel() as channel:
            producer = self.app.amqp.Producer(channel)
            options = {"content_type": content_type, "content_encoding": content_encoding, **options}
            producer.publish(body, exchange="", routing_key=queue, declare=[self.app.amqp.queues[queue]], **options)

    def task(self, name, args=(), **options):
        return self.app.send_task(name, args, queue=QUEUE, **options)

    def unknown(self, count=1, name="shop.gone"):
        return [self.task(name, [number]).id for number in range(count)]

    def waiting(self, queue=QUEUE):
        with self.connection.channel() as channel:
            return self.app.amqp.queues[queue](channel).queue_declare().message_count

    def take(self, queue=QUEUE):
        """Take one message from a queue."""
        with self.connection.channel() as channel:
            return Queue(queue, no_declare=True)(channel).get(no_ack=True)

    def raw(self, queue=QUEUE):
        """Take one element of a queue as the broker has it."""
        channel = self.connection.default_channel
        if self.is_redis:
            return channel.client.rpop(queue)
        body = channel.basic_get(queue, no_ack=True).body
        return body.encode() if isinstance(body, str) else bytes(body)

    def task_ids(self, queue=QUEUE):
        """Take all messages of a queue; returns their tasks' ids."""
        with self.connection.channel() as channel:
            bound = Queue(queue, no_declare=True)(channel)
            return [message.headers["id"] for message in iter(lambda: bound.get(no_ack=True), None)]

    @property
    def is_redis(self):
        return self.environment["BROKER"] == "redis"

    def copies_on_redis(self, letter, count):
        """Make dead letters of one, each with an id of its own."""
        client, element = self.connection.default_channel.client, json.loads(json.loads(letter.place)["message"])
        for _ in range(count):
            element["headers"]["id"] = uuid()
            client.lpush(keys.dead(QUEUE), redis._envelope(json.dumps(element).encode(), letter.note))

    def copies_on_rabbitmq(self, letter, count):
        with self.connection.clone(transport_options={}) as unconfirmed:
            for _ in range(count):
                headers = letter.headers | {"id": uuid(), rabbitmq.HEADER: vars(letter.note)}
                properties = letter.properties | {"application_headers": headers}
                rabbitmq._publish(unconfirmed.default_channel, keys.dead(QUEUE), letter.body, properties)

    def depth(self, queue=QUEUE):
        return depth(self.connection, queue)

    def letters(self, queue=QUEUE):
        with box_of(self.connection, queue) as box:
            return list(box.letters())

    def command(self, *words):
        """Run `celery-runtime dead-letters`; returns its exit code and what it printed."""
        options = _parser().parse_args(["dead-letters", *words])
        out = io.StringIO()
        with self.settings(), contextlib.redirect_stdout(out):
            code = run(self.app, list(load_queues(self.environment["QUEUES_FILE"])), options)
        return code, out.getvalue()

    def listed(self, *words):
        code, out = self.command("list", "--json", *words)
        assert code == 0
        return json.loads(out)
