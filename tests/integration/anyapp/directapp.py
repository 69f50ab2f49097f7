"""Tasks that try what a pool child must survive, and an app that knows nothing of the runtime, but by PLAIN.

A file named by LEDGER gets a line for each start and end. STOP_AT names a step of the child's loop at which it stops
(SIGSTOP) for the first task that is called `victim`. With PLAIN it installs the runtime itself, then sets CONF.
"""

import ctypes
import json
import mmap
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from celery import Celery, signals
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.worker.request import Request

from celery_runtime import install

app = Celery("directapp")
app.conf.worker_pool_restarts = True
if "PLAIN" in os.environ:
    install(app).conf.worker_pool = "direct"
    app.conf.update(json.loads(os.environ.get("CONF", "{}")))


if "HEARS" in os.environ:

    @signals.worker_ready.connect
    def listen(**_):
        signals.task_received.connect(hear)
        print("listens", file=sys.stderr, flush=True)

    def hear(request, **_):
        write("received", request.id)


def write(what, task_id):
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{what} {task_id} {os.getpid()}\n")


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True)
def sleep(self, seconds):
    write("start", self.request.id)
    time.sleep(seconds)
    write("end", self.request.id)
    return os.getpid()


@app.task(bind=True)
def victim(self):
    write("start", self.request.id)
    return "done"


@app.task(bind=True)
def context(self):
    request = self.request
    return {
        "args": request.args,
        "delivery_info": request.delivery_info,
        "hostname": request.hostname,
        "is_eager": request.is_eager,
        "kwargs": request.kwargs,
        "retries": request.retries,
    }


@app.task
def fail():
    raise ValueError("as asked")


@app.task(acks_on_failure=False)
def fail_unacknowledged():
    raise ValueError("as asked")


@app.task(bind=True, acks_on_timeout=False, time_limit=0.5)
def outlast_unacknowledged(self):
    write("start", self.request.id)
    time.sleep(30)


@app.task(bind=True, max_retries=3)
def retry(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(bind=True)
def requeue(self):
    if not self.request.delivery_info["redelivered"]:
        raise Reject("once more", requeue=True)
    return "again"


@app.task
def reject():
    raise Reject("as asked", requeue=False)


@app.task
def ignore():
    raise Ignore


@app.task(acks_late=False)
def early():
    return "early"


@app.task(rate_limit="10/s")
def limited():
    return time.time()


class CountingRequest(Request):
    def on_accepted(self, *args, **kwargs):
        write("request", self.id)
        return super().on_accepted(*args, **kwargs)


@app.task(Request=CountingRequest)
def custom():
    return "custom"


@app.task(soft_time_limit=0.5, time_limit=30)
def patient():
    try:
        time.sleep(20)
    except SoftTimeLimitExceeded:
        return "soft"


@app.task(time_limit=1)
def stubborn():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(60)


@app.task(max_retries=0)
def leave(code):
    sys.exit(code)


@app.task(max_retries=0)
def die():
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def length(text):
    return len(text)


@app.task(bind=True)
def deliveries(self):
    """How often the broker has delivered its message before, and whether it says so."""
    return getattr(self.request, "x-delivery-count", None) or 0, self.request.delivery_info["redelivered"]


@app.task(bind=True)
def hold_the_interpreter(self, seconds):
    write("start", self.request.id)
    ctypes.PyDLL(None).sleep(seconds)
    write("end", self.request.id)
    return seconds


@app.task
def fork():
    return "child" if os.fork() == 0 else "parent"


@app.task
def thread():
    found = []
    worker = threading.Thread(target=lambda: found.append(add.delay(1, 1).id))
    worker.start()
    worker.join()
    return len(found)


@app.task(max_retries=0)
def close_everything(then_sleep=20):
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    time.sleep(then_sleep)


@app.task
def change_signals():
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@app.task(max_retries=0)
def devour():
    """Take ten gigabytes of one, as a container's limit would let it."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
    try:
        return len(bytearray(10 << 30))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@app.task(max_retries=0)
def scribble():
    """Write over every shared page of this process' slot, as a wild pointer would."""
    slot = children[0].slot
    memory = slot._memory
    ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(memory)), 0xFF, min(len(memory), mmap.PAGESIZE))
    time.sleep(20)


@app.task
def grow(mebibytes):
    kept.append(bytearray(os.urandom(1 << 20)) * mebibytes)
    return os.getpid()


kept = []
children = []


@signals.worker_process_init.connect
def remember(**_):
    import gc

    from celery_runtime.direct.child import Child

    children[:] = [each for each in gc.get_objects() if isinstance(each, Child)]
    if os.environ.get("STOP_AT"):
        stop_at(os.environ["STOP_AT"])


@signals.worker_ready.connect
def let_forks_fail(**_):
    """As on a host whose processes are at their limit."""
    failures = int(os.environ.get("FORKS_THAT_FAIL", "0"))
    forking = os.fork

    def fork():
        nonlocal failures
        if failures:
            failures -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return forking()

    os.fork = fork


def stop_at(step):
    """Stop this child at a step of its loop for the first `victim`."""
    source, slot = type(children[0].source), type(children[0].slot)
    claimed = []

    def after(place, name, do):
        original = getattr(place, name)

        def method(self, *args, **kwargs):
            answer = original(self, *args, **kwargs)
            do(answer)
            return answer

        setattr(place, name, method)

    def stop(_):
        marker = Path(os.environ["LEDGER"] + ".stopped")
        if any(b"directapp.victim" in each.raw for each in claimed) and not marker.exists():
            marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)

    after(source, "step", lambda answer: claimed.append(answer) if answer else None)
    after(*{"claimed": (source, "step"), "held": (slot, "hold"), "ended": (slot, "end")}[step], stop)
