"""Tell systemd what a worker or Beat is doing, so that it waits for a start, and restarts what is stuck.

Without NOTIFY_SOCKET nothing is sent. The messages are those of sd_notify(3): READY=1 when the worker consumes,
STOPPING=1 when it drains, WATCHDOG=1 while the health check would say that it is alive, STATUS= for `systemctl status`.
A start may take as long as the broker is away: that is no failure, and systemd is told to wait on.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from celery import Celery
from celery.signals import worker_init
from celery.utils.log import get_logger

from celery_runtime.health import TICK, Pulse, State
from celery_runtime.queues import Queue

WORKER = {
    State.STARTING: "starts",
    State.READY: "consumes",
    State.RECONNECTING: "waits for its broker",
    State.DRAINING: "drains: no new tasks, what runs is finished",
}
BEAT = {
    State.STARTING: "waits for the lock of the schedule",
    State.READY: "sends what is due",
    State.RECONNECTING: "waits for Redis or the broker",
    State.DRAINING: "stops",
}

log = get_logger(__name__)


def send(*lines: str) -> bool:
    """Send one message; False when nobody listens. An error is logged: a worker does not end because of it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    # A name that starts with @ has no file; the kernel spells it with a zero byte.
    spelled = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            client.connect(spelled)
            client.sendall("\n".join(lines).encode())
    except OSError as error:
        log.warning("sd_notify: %s takes no message: %s", address, error)
        return False
    return True


def tell(pulse: Pulse, status: dict[State, str], grace: int) -> None:
    """Report every change of `pulse` from now on, and keep the watchdog quiet for as long as `pulse` is alive.

    status: what each state means for a person.
    grace: seconds that a stop may take.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return

    def change(state: State) -> None:
        text = f"STATUS={status[state]}"
        if state is State.READY:
            send("READY=1", text)
        elif state is State.DRAINING:
            send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={_microseconds(grace)}", text)
        else:
            send(text)

    pulse.on_change.append(change)
    change(pulse.state)
    threading.Thread(target=_keep_alive, args=(pulse, address), name="sd_notify", daemon=True).start()


def install(app: Celery, pulse: Pulse, queues: dict[str, Queue]) -> None:
    """Let the workers of `app` report `pulse`."""

    def start(**_: Any) -> None:
        consumed = [queues[name] for name in app.amqp.queues.consume_from if name in queues]
        tell(pulse, WORKER, max(queue.grace for queue in consumed or queues.values()))

    worker_init.connect(start, weak=False)


def watchdog() -> float | None:
    """Seconds after which systemd restarts this process when it hears nothing; None without a watchdog."""
    period, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not period.isdigit() or int(period) == 0 or process not in {"", str(os.getpid())}:
        return None
    return int(period) / 1_000_000


def _keep_alive(pulse: Pulse, address: str) -> None:
    """Until NOTIFY_SOCKET is another or none: whoever takes it away has taken over, or wants silence."""
    period = watchdog()
    wait = min(TICK, period / 2) if period else TICK  # half, as sd_watchdog_enabled(3) advises
    pause = threading.Event()
    while os.environ.get("NOTIFY_SOCKET") == address:
        if period and pulse.alive:
            send("WATCHDOG=1")
        if pulse.state is State.STARTING:
            send(f"EXTEND_TIMEOUT_USEC={_microseconds(4 * TICK)}")
        pause.wait(wait)


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)
