"""What stands still is restarted."""

from __future__ import annotations

import pytest

from tests.chaos.lab import until
from tests.systemd.conftest import on_both
from tests.systemd.host import WORKER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # the first test of a broker makes its host
NEIGHBOUR = "celery-worker@email.service"


@on_both
def test_what_stands_still_is_restarted_by_the_watchdog(host, load):
    """A main process that is stopped, and one whose loop is stuck while its other threads go on."""
    host.until_active()
    how = {NEIGHBOUR: "STOP", WORKER: "USR2"}
    before = host.restarts()
    for unit, signal in how.items():
        host.run(f"systemctl kill --signal={signal} --kill-whom=main {unit}")
    for unit in how:  # 30 s; 60 s more until a loop counts as stuck
        until(lambda unit=unit: int(host.show(unit, "NRestarts")) > before[unit], f"{unit} to be restarted", 240)
        assert "Watchdog timeout" in host.run(f"journalctl --no-pager --lines=80 --unit={unit}")
        host.until_active(unit)
    load.publish("sleep", 5)
    load.settle()
    load.judge(lost=0, doubled=0)
