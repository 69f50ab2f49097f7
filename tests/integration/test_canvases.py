"""Canvases of all sorts, made up by Hypothesis: the direct pool answers what stock Celery answers.

The same results, the same errors, the same states; and where somebody listens, the same signals in the same order,
with the same results to be seen by then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest
from celery import Celery, chain, group
from celery.canvas import Signature
from celery.exceptions import TimeoutError as StillWaitingError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kombu import Exchange, Queue
from redis import Redis

from tests.integration.conftest import until
from tests.integration.runtime_worker import FOLDER, ROOT, RuntimeWorker

EXAMPLES = 25 if "CANVASES" not in os.environ else int(os.environ["CANVASES"])
# Seconds. Of some chords whose steps are chords that fail, Celery tells nobody: these wait in vain with either pool.
PATIENCE = 8
QUEUES = "[queues.anyapp]\npool = 'direct'\nconcurrency = 2\n"

steps = st.one_of(
    st.tuples(st.sampled_from(["add", "replaced"]), st.integers(-3, 3)),
    st.sampled_from([("retry_once",), ("fail_if_even",), ("add", 1)]),
)
canvases = st.recursive(
    steps,
    lambda inner: st.one_of(
        st.tuples(st.just("chain"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("chord"), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module", params=["redis", pytest.param("rabbitmq", marks=pytest.mark.slow)])
def servers(request, own_redis, secrets):
    """Variables of a worker without REDIS_URL, and the port of the Redis that has the results."""
    if request.param == "rabbitmq":
        return request.getfixturevalue("on_rabbitmq"), own_redis[0]
    return {"BROKER": "redis", "REDIS_PASSWORD_FILE": str(secrets / "password")}, own_redis[0]


@pytest.fixture(scope="module", params=["silent", "listened"])
def peers(request, servers, tmp_path_factory):
    """Stock Celery and the direct pool, each a worker with a queue and a database of its own, and an app in front."""
    listen = {"LISTEN": "1"} if request.param == "listened" else {}
    folder = tmp_path_factory.mktemp("canvases")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(start(folder, *servers, listen))
            for name, start in {"stock": _stock, "direct": _direct}.items()
        }


class Peer:
    """An app whose tasks a worker runs, and a client that may read what it heard."""

    def __init__(self, queue, broker, results, database, port):
        self.app = Celery("peer", broker=broker, backend=results, set_as_current=False)
        self.app.conf.update(task_default_queue=queue, result_backend_always_retry=True)
        if broker.startswith("amqp") and queue == "anyapp":  # of the runtime's type, and its worker has made it
            self.app.conf.task_queues = [Queue(queue, Exchange(""), queue, no_declare=True)]
        self.queue = queue
        self.redis = Redis(port=port, db=database, username="admin", password="integration")
        self.redis.flushdb()

    def close(self):
        # Hypothesis keeps the last example, whose results would unsubscribe after their server is gone.
        self.app.backend.result_consumer.cancel_for = lambda task_id: None
        self.app.close()
        self.redis.close()

    def answer(self, shape, number):
        """What comes of a canvas: its value or error, the states of its parents, and what was heard."""
        canvas = chain(self.signature(("add", 0)), self.signature(shape))
        result = canvas.apply_async((number,))
        root = next(iter(reversed(list(_parents(result))))).id
        try:
            value = result.get(timeout=PATIENCE, propagate=False)
        except StillWaitingError:
            value = "no answer"
        until(self.is_settled)
        states = [(parent.state if hasattr(parent, "state") else "GROUP") for parent in _parents(result)]
        return _shown(value), states, self._heard(root)

    def is_settled(self):
        with self.app.connection_for_read() as connection:
            if connection.transport.driver_type == "amqp":
                return not connection.default_channel.queue_declare(self.queue, passive=True).message_count
        return not self.redis.exists(self.queue, "unacked", f"unacked:{self.queue}")

    def signature(self, shape):
        name, *args = shape
        if name == "chain":
            return chain(*(self.signature(each) for each in args[0]))
        if name == "chord":
            return chain(group(*(self.signature(each) for each in args[0])), self.task("total"))
        return self.task(name, *args)

    def task(self, name, *args):
        return Signature(f"canvasapp.{name}", args=args, app=self.app)

    def _heard(self, root):
        """The signals of every try of each kind of task, in their order, and what result was to be seen by then.

        Not of a try that another one follows, or that was replaced: it overlaps with what follows.
        """
        heard = {}
        for name, task_id, retries, signal, state in map(json.loads, self.redis.lrange(f"heard:{root}", 0, -1)):
            heard.setdefault(name, {}).setdefault((task_id, retries), []).append((signal, state))
        return {name: sorted(map(_told, tries.values())) for name, tries in heard.items()}


def _parents(result):
    while result is not None:
        yield result
        result = result.parent


def _told(signals):
    is_last = any(signal in {"task_success", "task_failure"} for signal, _ in signals)
    return [(signal, state if is_last and signal != "task_prerun" else "") for signal, state in signals]


def _shown(value):
    # The text of an error of a chord names a task's id.
    return type(value).__name__ if isinstance(value, BaseException) else value


def _urls(environment, redis_url):
    """Of the broker and of the results, with their passwords."""
    urls = environment.get("RABBITMQ_URL", redis_url), redis_url
    return [url.replace("celery@", "celery:integration@") for url in urls]


class _direct:  # noqa: N801 -- a context, as the function beside it
    def __init__(self, folder, environment, port, listen):
        url = f"redis://celery@127.0.0.1:{port}/2"
        environment = environment | {"REDIS_URL": url}
        self.worker = RuntimeWorker(folder, environment, QUEUES, CELERY_APP="canvasapp:app", **listen)
        self.peer = Peer("anyapp", *_urls(environment, url), 2, port)

    def __enter__(self):
        self.worker.__enter__()
        return self.peer

    def __exit__(self, *error):
        self.peer.close()
        self.worker.__exit__(*error)


class _stock:  # noqa: N801
    def __init__(self, folder, environment, port, listen):
        urls = _urls(environment, f"redis://celery@127.0.0.1:{port}/3")
        file = folder / "stock"
        file.write_text("\n".join(urls))
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{FOLDER}{os.pathsep}{ROOT}",
            "STOCK_URL_FILE": str(file),
            **listen,
        }
        self.folder = folder
        self.peer = Peer("stock", *urls, 3, port)

    def __enter__(self):
        command = [sys.executable, "-m", "celery", "-A", "canvasapp", "worker", "--concurrency=2"]
        with (self.folder / "stock.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        return self.peer

    def __exit__(self, *_):
        self.peer.close()
        self.process.terminate()
        self.process.wait(60)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(shape=canvases, number=st.integers(-5, 5))
def test_a_canvas_is_answered_as_by_stock(peers, shape, number):
    assert peers["direct"].answer(shape, number) == peers["stock"].answer(shape, number)
