"""Old workers and new ones on the same queues while an app moves, and when it moves back: nothing is lost."""

from __future__ import annotations

from contextlib import ExitStack, closing

from tests.apps.conftest import on_each_broker
from tests.apps.ledger import Account
from tests.apps.sides import Side
from tests.apps.subjects import SUBJECTS

AS_PLAIN_CELERY = {"RABBITMQ_QUEUES": "classic"}


@on_each_broker
def test_moving_to_the_runtime_and_back_loses_and_doubles_nothing(place, tmp_path, broker):
    where = place(SUBJECTS["plain"], broker)
    with ExitStack() as stack:
        plain, runtime = (
            stack.enter_context(
                closing(Side(SUBJECTS["plain"], where, tmp_path / name, runtime=new, **AS_PLAIN_CELERY))
            )
            for name, new in (("plain", False), ("runtime", True))
        )
        account = Account(plain, runtime)

        plain.start_worker("default", "old")
        plain.publish(10, 0.05)
        runtime.start_worker("default", "new")
        both_publish(plain, runtime)
        account.settle()
        assert all(ran(side) for side in (plain, runtime))

        both_publish(plain, runtime)
        plain.stop_worker("old")
        both_publish(plain, runtime)
        account.settle()
        by_the_old = ran(plain)

        plain.start_worker("default", "old")
        both_publish(plain, runtime)
        assert runtime.stop_worker("new") == 0
        by_the_new = ran(runtime)
        both_publish(plain, runtime)
        account.settle()

    assert ran(plain) > by_the_old and ran(runtime) == by_the_new
    assert (len(account.accepted), account.lost, account.doubled) == (10 + 5 * 60, set(), 0)


def both_publish(*sides):
    for publishing in [side.publishing(30, 0.05) for side in sides]:
        assert publishing.wait(60) == 0


def ran(side):
    """How many tasks the workers of a side have ended."""
    return Account(side).ended
