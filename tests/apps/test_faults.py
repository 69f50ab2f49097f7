"""Rows 1, 5 and 12 of the fault matrix for each example, which knows nothing of the runtime: nothing is lost."""

from __future__ import annotations

import pytest

from tests.apps.conftest import of_each_example, on_each_broker
from tests.apps.ledger import Account
from tests.apps.sides import Side

CONCURRENCY = 2


@pytest.fixture
def side(subject, broker, place, tmp_path):
    """The example under the runtime, with a worker of the queue that its slow task goes to."""
    side = Side(subject, place(subject, broker), tmp_path / "side", runtime=True)
    side.set_up()
    side.start_worker("default", "worker")
    yield side
    side.close()


@pytest.fixture
def account(side):
    return Account(side)


@on_each_broker
@of_each_example
def test_row_1_a_worker_that_is_told_to_stop_under_load_loses_and_doubles_nothing(side, account):
    publishing = side.publishing(60, 0.1)
    side.wait(lambda: account.ended >= 15, "the first tasks to end")

    assert side.stop_worker("worker") == 0
    side.start_worker("default", "worker")

    assert publishing.wait(60) == 0
    account.settle()
    assert (len(account.accepted), account.lost, account.doubled) == (60, set(), 0)


@on_each_broker
@of_each_example
def test_row_5_a_worker_that_is_killed_under_load_loses_nothing(side, account):
    publishing = side.publishing(60, 0.1)
    side.wait(lambda: account.ended >= 15, "the first tasks to end")

    side.kill_worker("worker")
    side.start_worker("default", "worker")

    assert publishing.wait(60) == 0
    account.settle()
    assert (len(account.accepted), account.lost) == (60, set()) and account.doubled <= CONCURRENCY


@on_each_broker
@of_each_example
def test_row_12_all_connections_that_are_cut_lose_nothing(side, account, cut_clients):
    side.publish(12, 2)
    side.wait(lambda: account.ended >= 2, "the first tasks to end")

    cut_clients(side)

    account.settle()
    assert (len(account.accepted), account.lost) == (12, set()) and account.doubled <= 2 * CONCURRENCY
