"""Refuse a task whose arguments are too large, where it is published.

A queue of large messages fills the broker's memory, and everybody else's tasks with it; what is large belongs into a
database or an object store, and its id into the task. What counts are the arguments, positional and by name, as the
broker stores them; not what the task carries along, the rest of its chain or the header of its chord: a large canvas is
one message, and refused in the middle it would break.

Read in Celery 5.7.0: celery/app/amqp.py, `task_protocols` (what makes a message of a call).
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.exceptions import EncodeError
from kombu.serialization import dumps

from celery_runtime import layers


class ArgumentsTooLargeError(EncodeError):
    """The arguments of a task are above MAX_ARGUMENTS_KIB.

    An EncodeError, because Celery stores one as the failure of the task that it meets it in: a task whose result is
    the argument of the next one.
    """


def limit_arguments(app: Celery, kib: int) -> None:
    """Let every publishing of `app` raise ArgumentsTooLargeError above `kib` KiB."""

    def limited(base: Any) -> type:
        class LimitedAMQP(base):  # type: ignore[misc]
            def as_task_v2(self, task_id: str, name: str, *args: Any, **kwargs: Any) -> Any:
                message = super().as_task_v2(task_id, name, *args, **kwargs)
                check(app, name, message.body[:2], kib)
                return message

        return LimitedAMQP

    layers.add(app, limited)


def check(app: Celery, name: str, arguments: Any, kib: int) -> None:
    """Raise ArgumentsTooLargeError when the `arguments` of the task `name` are above `kib` KiB once serialized."""
    try:
        _, _, data = dumps(arguments, app.conf.task_serializer)
    except EncodeError:
        return  # raised again with its reason, or the call has a serializer of its own
    size = len(data) if data.isascii() else len(data.encode())
    if size > 1024 * kib:
        raise ArgumentsTooLargeError(
            f"The arguments of {name} have {size / 1024:.1f} KiB, more than the {kib} KiB allowed.\n"
            "  Store what is large, pass its id, and let the task read it; or raise MAX_ARGUMENTS_KIB."
        )
