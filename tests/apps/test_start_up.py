"""What a worker costs until it is ready, beside one of plain Celery with as many processes."""

from __future__ import annotations

from contextlib import closing
from statistics import median

import psutil
import pytest

from tests.apps.sides import Side
from tests.apps.subjects import SUBJECTS

RUNS = 5
CPU, MEMORY = 0.150, 8 * 2**20  # seconds and bytes that a worker may cost more


@pytest.mark.slow
def test_a_worker_costs_little_more_than_plain_celerys(place, tmp_path):
    subject, costs = SUBJECTS["plain"], {False: [], True: []}
    for run in range(RUNS):
        for runtime, found in costs.items():
            folder = tmp_path / f"{runtime}-{run}"
            with closing(Side(subject, place(subject, "redis"), folder, runtime=runtime, hear="")) as side:
                side.start_worker("default", "worker")
                found.append(cost(side.workers["worker"].pid))

    plain, ours = ([median(each) for each in zip(*costs[runtime], strict=True)] for runtime in (False, True))
    cpu, memory = (mine - theirs for mine, theirs in zip(ours, plain, strict=True))
    print(f"{1000 * cpu:+.0f} ms of {1000 * plain[0]:.0f}, {memory / 2**20:+.1f} MiB of {plain[1] / 2**20:.1f}")
    assert cpu < CPU and memory < MEMORY


def cost(pid):
    """Seconds of CPU and bytes (PSS) of a process and those that it started."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    times = [each.cpu_times() for each in family]
    ended = times[0].children_user + times[0].children_system
    return ended + sum(each.user + each.system for each in times), sum(each.memory_full_info().pss for each in family)
