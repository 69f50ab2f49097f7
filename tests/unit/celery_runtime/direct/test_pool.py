"""What the direct pool tells Celery's worker about its children."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from celery_runtime.direct.pool import Pool

RUNS, RETIRED, FAILED, KILLED = None, 0, 1, -9


@pytest.mark.parametrize(
    ("children", "started"),
    [([RUNS], True), ([RETIRED], True), ([FAILED, RETIRED], True), ([FAILED, KILLED], False), ([], False)],
)
def test_the_pool_started_when_a_child_runs_or_has_had_its_last_task(children, started):
    members = [SimpleNamespace(process=SimpleNamespace(exitcode=code)) for code in children]
    unforked = SimpleNamespace(process=None)

    pool = SimpleNamespace(family=SimpleNamespace(members=[unforked, *members]))
    assert Pool.did_start_ok(pool) is started
