"""Something happened: one event, and subscribers of which its publisher knows nothing.

    with transaction() as session:
        session.add(user)
        events.publish(session, UserRegistered(user_id=str(user.id)))

    @subscriber(UserRegistered, base=MailTask)
    def welcome(user_id: str) -> str: ...

The event is one task in the outbox: it exists if and only if the transaction commits. That task, `dispatch`, publishes
one task for each subscriber, which then has its own queue, its own retries, its own end; none waits for another. Only
workers import subscribers. The API has neither their code nor their names, so a new one is deployed with the workers
alone. (A fanout exchange of the broker would do without `dispatch`, but Redis' forgets what nobody listens to, and
RabbitMQ's lets a publisher know only that some queue has it.)

Delivered twice, or killed half-way, `dispatch` publishes the same tasks again under the same ids, which are made of the
event's and the subscriber's. A subscriber may therefore run twice, as every task may.
"""

from collections import defaultdict
from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID, uuid5

from celery import Task, group
from sqlalchemy.orm import Session

from app.celery import app
from app.outbox import outbox
from celery_runtime.tasks.retry import RetryingTask


class UserRegistered(NamedTuple):
    user_id: str


class UserRenamed(NamedTuple):
    user_id: str


class PostPublished(NamedTuple):
    post_id: str


class PostChecked(NamedTuple):
    """The verdict about the post is stored."""

    post_id: str


class PostLiked(NamedTuple):
    """The post's likes were counted: there are `likes` now, of which `new` came since the last count."""

    post_id: str
    likes: int
    new: int


Event: TypeAlias = UserRegistered | UserRenamed | PostPublished | PostChecked | PostLiked
NAMES = {event.__name__ for event in Event.__args__}
_subscribers: defaultdict[str, list[Task]] = defaultdict(list)


class UnknownEventError(LookupError):
    """An event that this worker has never heard of: its publisher is newer. Workers are deployed first."""


def publish(session: Session, event: Event) -> UUID:
    """Let every subscriber of `event` run once the transaction of `session` has committed; returns the event's id."""
    return outbox.send(session, dispatch.s(type(event).__name__, event._asdict()))


def subscriber(event: type[Event], **options: Any) -> Callable[[Callable[..., Any]], Task]:
    """Make the function a task, with these `options`, that is called by name with the fields of each `event`.

    Raises TypeError when it does not take those.
    """

    def register(function: Callable[..., Any]) -> Task:
        bound = ["self"] if options.get("bind") else []
        signature(function).bind(*bound, **dict.fromkeys(event._fields))
        task = app.task(**options)(function)
        _subscribers[event.__name__].append(task)
        return task

    return register


@app.task(bind=True, base=RetryingTask)
def dispatch(self: Task, event: str, fields: dict[str, Any]) -> dict[str, str]:
    """Publish a task for each subscriber of `event`; returns their ids by name."""
    if event not in NAMES:
        raise UnknownEventError(f"there is no event {event!r} here; is this worker older than what published it?")
    ids = {task.name: str(uuid5(UUID(self.request.id), task.name)) for task in _subscribers[event]}
    group(task.si(**fields).set(task_id=ids[task.name]) for task in _subscribers[event]).apply_async()
    return ids
